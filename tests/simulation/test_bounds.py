"""Lower bounds of small traces, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.simulation.bounds import lower_bound
from cosmos_batch.simulation.params import Params, generate
from cosmos_batch.simulation.trace import Arrival, Trace, trace_of

MADE = generate(Params(runs=1, kinds=2, run_seconds=100.0, load_seconds=20.0), TRANSFER25, PROFILE.cost)


def trace(*runs: tuple[float, int]) -> Trace:
    """Runs by arrival and kind."""
    templates = MADE.trace.templates[::3]
    return trace_of((Arrival(at, templates[kind]) for at, kind in runs), MADE.trace.facts)


@pytest.mark.parametrize(
    ("runs", "gpus", "bound"),
    [
        ([(0.0, 0)], 1, 120.0),  # a load and a run
        ([(0.0, 0)] * 4, 2, 210.0),  # the work of four runs and a load, shared by two devices
        ([(0.0, 0), (0.0, 1)], 1, 240.0),  # a load of each kind
        ([(0.0, 0), (500.0, 0)], 4, 600.0),  # the last run, alone
        ([(0.0, 0), *[(500.0, 0)] * 8], 4, 700.0),  # the runs that arrive last, shared by four devices
    ],
)
def test_the_greatest_bound_counts(runs: list[tuple[float, int]], gpus: int, bound: float) -> None:
    assert lower_bound(trace(*runs), gpus, MADE.traits, MADE.cost) == pytest.approx(bound)


def test_runs_that_crash_their_workers_are_left_out() -> None:
    both = replace(trace((0.0, 0), (0.0, 0)), breaks_at={1: 3})
    assert lower_bound(both, 1, MADE.traits, MADE.cost) == pytest.approx(120.0)
