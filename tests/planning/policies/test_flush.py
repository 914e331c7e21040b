"""When gathered runs are planned: a table of situations."""

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
        # Behind a busy device, runs wait for company
        (BUSY, ""),
        # Nothing has come
        (replace(BUSY, runs=0, idle=True), ""),
        # Urgent runs never wait
        (replace(BUSY, urgent=1), "an urgent run came"),
        # Nor do those that would be next, were they planned
        (replace(BUSY, ahead=1), "they go before what is planned"),
        # Waiting cannot help: the device is idle, and whoever comes later joins at the next step
        (replace(BUSY, idle=True, latest=0), "the device is idle, and others can join later"),
        # Nobody can join a script's launch: so a moment is given to those that come together ...
        (replace(BUSY, idle=True, joinable=False, latest=0.2), ""),
        # ... and no more than a moment
        (replace(BUSY, idle=True, joinable=False, latest=1), "the device is idle, and no run came for 1 s"),
        # Waiting cannot help: the batch is full
        (replace(BUSY, full=True), "they fill a batch"),
        # Enough have come, or the first has waited long enough
        (replace(BUSY, runs=32), "32 runs have gathered"),
        (replace(BUSY, oldest=20), "the first has waited for 20 s"),
    ],
)
def test_runs_are_planned_when_waiting_cannot_help(gathered: Gathered, reason: str) -> None:
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
def test_the_clock_says_when_to_look_again(gathered: Gathered, seconds: float) -> None:
    assert flush_in(gathered, RULES) == seconds


@pytest.mark.parametrize(
    ("edge", "vis_and_edge", "full"), [(7, 0, False), (8, 0, True), (0, 3, False), (0, 4, True)]
)
def test_a_batch_is_full_at_the_size_that_would_be_planned(edge: int, vis_and_edge: int, full: bool) -> None:
    runs = [_run(f"e{index}", "edge") for index in range(edge)]
    runs += [_run(f"v{index}", "edge", "vis") for index in range(vis_and_edge)]

    assert fills_a_batch(runs, replace(TRAITS, ragged=False), PRIOR, {}) is full


def _run(run_id: str, *names: str) -> Run:
    controls = tuple(Control(name=name, weight=1.0, video="/c.mp4") for name in names)  # type: ignore[arg-type]
    return Run(id=run_id, prompt="a street", controls=controls)
