"""The parts of the demo, with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.ledger import State
from cosmos_batch.media.controls.cache import ControlCache
from examples.demo import COST, Variant, make, print_savings, show_plan, write_forced
from tests.support.tiny_model import CONTROLS, write_clip, write_tiny_model


def test_variants_are_planned_made_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 9)
    line = {
        "id": "one",
        "prompt": "a street",
        "inputs": {"video": clip, "depth": clip, "seg": clip},
        "execution_config": {"weights": dict.fromkeys(CONTROLS, 0.25), "num_steps": 2},
    }
    file = tmp_path / "runs.jsonl"
    file.write_text(json.dumps(line) + "\n")
    engine = load_engine(str(write_tiny_model(tmp_path / "model")), CONTROLS, ControlCache(tmp_path / "controls"))

    show_plan(engine, file)
    variants = [
        Variant("as planned", tmp_path / "videos", file, COST),
        Variant("all controls forced", tmp_path / "forced", write_forced(file), COST),
    ]
    results = [make(engine, variant, show=False) for variant in variants]
    print_savings(results)

    assert [status.state for result in results for status in result.statuses] == [State.SUCCEEDED] * 2
    assert "0/255" in capsys.readouterr().out
