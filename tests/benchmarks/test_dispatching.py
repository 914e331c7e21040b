"""Speed of the queue, at small sizes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.dispatching import (
    measure_claiming,
    measure_planning,
    measure_steps,
    measure_submitting,
    measure_working,
)


def test_submissions_are_measured(tmp_path: Path) -> None:
    figures = measure_submitting(tmp_path, seconds=0.2)

    assert figures["submissions per second"] > 0


def test_claims_are_measured(tmp_path: Path) -> None:
    assert measure_claiming(tmp_path, count=20)["runs claimed, begun and finished per second"] > 0


def test_plans_are_measured(tmp_path: Path) -> None:
    figures = measure_planning(tmp_path, 30)

    assert list(figures) == ["first plan of 30 waiting runs, s", "replanning 30 waiting runs, s"]


def test_idle_share_and_delay_of_urgent_runs_are_measured(tmp_path: Path) -> None:
    idle, delay = measure_working(tmp_path, 0.0005, 4).values()

    assert 0 <= idle <= 100
    assert delay >= 0


def test_processor_time_of_a_step_is_measured(tmp_path: Path) -> None:
    (milliseconds,) = measure_steps(tmp_path, runs=2, steps=5).values()

    assert milliseconds > 0
