"""Seconds and memory of planning and of reading, for a few runs."""

from __future__ import annotations

import pytest

from benchmarks import planning


@pytest.mark.parametrize("engine", planning.ENGINES)
def test_all_runs_are_planned(engine: str) -> None:
    figures = planning.measure_planning(engine, 50)

    assert figures["launches"] >= 1
    assert figures["batches"] >= figures["launches"]
    assert figures["peak_mib"] > 0


def test_all_lines_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "LINES", 50)

    assert planning.measure_reading()["seconds"] > 0
