"""A short queue shared by workers, with few steps."""

from __future__ import annotations

from benchmarks.sharing import measure


def test_runs_of_a_queue_are_made_by_the_workers() -> None:
    assert measure((2, 4), workers=1, step=0.001) > 0
