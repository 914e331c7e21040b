"""Groupings of runs to launches, with the stand-in for NVIDIA's script at a small scale."""

from __future__ import annotations

import pytest

from benchmarks.launches import main


def test_every_grouping_is_predicted_simulated_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--runs", "2", "--scale", "0.0001"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["seconds", "bound", "predicted", "simulated", "measured", "over", "bound"]
    assert [line[:32].strip() for line in lines[1:]] == [
        "edge only, cosmos-batch",
        "edge only, a launch per 8 runs",
        "edge only, a launch per run",
        "15 control sets, cosmos-batch",
    ]
    assert [line.split()[-5:-1][0] for line in lines[1:2]] == ["240"]  # the bound: one load and two videos
