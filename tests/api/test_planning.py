"""Expanding and planning from Python, with what a notebook shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import cosmos_batch
from cosmos_batch import InputError
from tests.support.cli_launcher import SimulatedEngines
from tests.support.dispatch_world import make_input

ENGINES = SimulatedEngines()


@pytest.fixture
def sweep(tmp_path: Path) -> dict[str, object]:
    make_input(tmp_path / "dock.mp4")
    return {
        "sweep": "weather",
        "videos": str(tmp_path / "dock.mp4"),
        "prompts": {"snow": "<b>snow</b>", "rain": "rain"},
        "seeds": list(range(6)),
        "controls": {"edge": 1.0},
    }


def test_a_sweep_expands_to_a_sequence_of_runs(sweep: dict[str, object]) -> None:
    found = cosmos_batch.expand(sweep, settings={"num_steps": 2}, engines=ENGINES)
    assert len(found) == 12
    assert {run.sampling.num_steps for run in found} == {2}
    assert [run.id for run in found[:2]] == [found[0].id, found[1].id]
    shown = found._repr_html_()
    assert "12 runs, about" in shown
    assert "&lt;b&gt;snow&lt;/b&gt;" in shown
    assert shown.count("<tr>") == 11


def test_runs_are_planned_with_reasons(sweep: dict[str, object]) -> None:
    plan = cosmos_batch.plan(cosmos_batch.expand(sweep, engines=ENGINES), engines=ENGINES)
    assert sum(len(launch.runs) for launch in plan.launches) == 12
    assert plan.seconds > 0
    assert plan.to_dict()["runs"] == 12
    assert "edge alone" in plan._repr_html_()


def test_problems_of_a_sweep_are_raised_together(sweep: dict[str, object]) -> None:
    with pytest.raises(InputError) as wrong:
        cosmos_batch.plan(sweep | {"seeds": ["x"], "promts": "p"}, engines=ENGINES)
    assert {problem.field for problem in wrong.value.problems} == {"seeds[0]", "promts"}
