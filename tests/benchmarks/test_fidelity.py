"""Differences of videos in batches from videos alone, with a tiny model."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fidelity import LIMIT, BatchMaker, measure
from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.media.controls.cache import ControlCache
from tests.support.tiny_model import CONTROLS, make_run, write_clip, write_tiny_model


def test_differences_are_measured_for_every_case(tmp_path: Path) -> None:
    model, guardrail = write_tiny_model(tmp_path / "model"), RecordingGuardrail()
    engine = load_engine(str(model), CONTROLS, ControlCache(tmp_path / "controls"), guardrail=guardrail)
    clip = write_clip(tmp_path / "clip.mp4", 9)
    sets = [{"edge": 1.0}] * 6 + [{"depth": 0.5, "edge": 0.5}] * 3 + [dict.fromkeys(CONTROLS, 0.25)]
    runs = [make_run(f"run{index}", clip, weights, num_steps=12) for index, weights in enumerate(sets)]

    rows = list(measure(BatchMaker(engine, guardrail, tmp_path / "out"), runs))

    assert len(rows) == 8
    assert max(decoded for _, decoded, _ in rows) <= LIMIT
