"""When waiting runs are planned: a table of situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.policies.flush import FlushRules, Gathered, fills_a_batch, flush_in, flush_reason
from cosmos_batch.run import Control, Run
from tests.support.dispatch_world import PRIOR, TRAITS

RULES = FlushRules(seconds=20, runs=32, quiet=1)
BUSY = Gathered(runs=3, urgent=0, ahead=0, oldest=5, latest=2, idle=False, full=False, joinable=True)


@pytest.mark.parametrize(
    ("gathered", "reason"),
    [
        # Behind a busy device, runs wait for more runs to batch with
        (BUSY, ""),
        # No run has arrived
        (replace(BUSY, runs=0, idle=True), ""),
        # Urgent runs never wait
        (replace(BUSY, urgent=1), "an urgent run arrived"),
        # Nor do runs that would be next if they were planned
        (replace(BUSY, ahead=1), "some runs precede every planned launch"),
        # Waiting gains nothing: the device is idle, and a later run joins at the next step
        (replace(BUSY, idle=True, latest=0), "the device is idle, and later runs can join"),
        # No run can join a script's launch, so runs that arrive together get a moment ...
        (replace(BUSY, idle=True, joinable=False, latest=0.2), ""),
        # ... and no more than a moment
        (replace(BUSY, idle=True, joinable=False, latest=1), "the device is idle, and no run arrived for 1 s"),
        # Waiting gains nothing: the batch is full
        (replace(BUSY, full=True), "the waiting runs fill a batch"),
        # Enough runs wait, or the first has waited long enough
        (replace(BUSY, runs=32), "32 runs are waiting"),
        (replace(BUSY, oldest=20), "the first run has waited 20 s"),
    ],
)
def test_runs_are_planned_when_waiting_gains_nothing(gathered: Gathered, reason: str) -> None:
    assert flush_reason(gathered, RULES) == reason


@pytest.mark.parametrize(
    ("gathered", "seconds"),
    [
        (replace(BUSY, runs=0), float("inf")),
        (BUSY, 15),
        (replace(BUSY, idle=True, latest=0.25), 0.75),
        (replace(BUSY, oldest=21), 0),
    ],
)
def test_next_flush_by_the_clock_alone(gathered: Gathered, seconds: float) -> None:
    assert flush_in(gathered, RULES) == seconds


@pytest.mark.parametrize(
    ("edge", "vis_and_edge", "full"), [(7, 0, False), (8, 0, True), (0, 3, False), (0, 4, True)]
)
def test_batch_is_full_at_the_size_that_would_be_planned(edge: int, vis_and_edge: int, full: bool) -> None:
    runs = [_run(f"e{index}", "edge") for index in range(edge)]
    runs += [_run(f"v{index}", "edge", "vis") for index in range(vis_and_edge)]

    assert fills_a_batch(runs, replace(TRAITS, ragged=False), PRIOR, {}) is full


def _run(run_id: str, *names: str) -> Run:
    controls = tuple(Control(name=name, weight=1.0, video="/c.mp4") for name in names)  # type: ignore[arg-type]
    return Run(id=run_id, prompt="a street", controls=controls)
