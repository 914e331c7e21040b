"""Seconds and memory of expanding and planning a sweep, for a few runs."""

from __future__ import annotations

from benchmarks import sweeps


def test_every_run_of_the_sweep_is_planned() -> None:
    figures = sweeps.measure(100)

    assert figures["runs"] == 100
    assert figures["peak_mib"] > 0
