"""A small day on a small fleet."""

from __future__ import annotations

import pytest

from benchmarks.fleet import main, measure


def test_the_work_is_spread_over_the_time_that_the_load_says() -> None:
    summary, seconds = measure(200, 40, 0.5, "ours")
    assert summary.runs == 200
    assert summary.makespan == pytest.approx(200 * 690 / (40 * 0.5), rel=0.2)
    assert seconds > 0


def test_the_table_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--runs", "20", "--gpus", "2", "--policy", "no-affinity"])
    assert "| 0.8 | no-affinity | 1." in capsys.readouterr().out
