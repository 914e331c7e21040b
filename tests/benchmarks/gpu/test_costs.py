"""Calibration and its predictions on the CPU, with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu.costs import main
from cosmos_batch.engines.inprocess.calibration import Probe


def test_predictions_are_compared_with_measurements(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"

    main([str(model), "--seconds", "2", "--json", str(file)], held_out=(Probe(48, 32, 9, 1, 1),))

    found = json.loads(file.read_text())
    assert found["calibrated"]["measured"] > 0
    (row,) = found["held_out"]
    assert row["seconds"] > 0
    assert row["coding"] > 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 48x32x9 | 1 | 1 |")
