"""Outputs of the simulated engine: their size is the one that was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.media.video import probe
from tests.support.cli_launcher import SimulatedEngines
from tests.support.clips import clip


def test_a_run_that_keeps_its_input_size_passes_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given runs of one video, of which one keeps its size
    clip(tmp_path / "wide.mp4", frames=2, width=80, height=48)
    line = {"prompt": "rain", "inputs": {"video": "wide.mp4"}, "execution_config": {"weights": {"edge": 1}}}
    kept = {"weights": {"edge": 1}, "keep_input_resolution": True}
    lines = [line | {"id": "plain"}, line | {"id": "kept", "execution_config": kept}]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, lines)))

    # when they are made in one batch
    words = ["run", str(tmp_path / "runs.jsonl"), "-o", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *words])
    with pytest.raises(SystemExit) as ended:
        main(SimulatedEngines())

    # then each has its size, and the record says both sizes
    assert ended.value.code in (0, None), capsys.readouterr()
    sizes = {}
    for name in ("plain", "kept"):
        facts = probe(str(tmp_path / "out" / name / "output.mp4"))
        record = json.loads((tmp_path / "out" / name / "run.json").read_text())
        assert (record["network"]["width"], record["network"]["height"]) == (32, 32)
        assert (record["output"]["width"], record["output"]["height"]) == (facts.width, facts.height)
        sizes[name] = facts.width, facts.height
    assert sizes == {"plain": (32, 32), "kept": (80, 48)}
