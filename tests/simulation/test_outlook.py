"""The coming hours of a queue, by the simulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.simulation.outlook import POINTS, outlook, what_is_left
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS, make_run

VIDEO = Path("/in.mp4")
COST = replace(PRIOR, load=2.0, step=1.0, token=0.0, error=0.5)  # a step takes 1 s, whatever its runs
FLUSH = FlushRules(seconds=20.0)


def test_runs_end_one_after_the_other_where_a_batch_is_full() -> None:
    runs = [make_run(f"r{index:02}", VIDEO, steps=10) for index in range(16)]
    one = outlook(runs, {str(VIDEO): FACTS}, 1, (TRAITS, COST), FLUSH)
    assert one.seconds == pytest.approx(22.0)  # a load, and two batches of 8 runs
    assert (one.waiting[0], one.running[0]) == (16, 0)
    assert (one.waiting[POINTS // 4], one.running[POINTS // 4]) == (8, 8)
    assert (one.waiting[-1], one.running[-1]) == (0, 8)
    two = outlook(runs, {str(VIDEO): FACTS}, 2, (TRAITS, COST), FLUSH)
    assert two.seconds == pytest.approx(12.0)
    under_way = outlook(runs, {str(VIDEO): FACTS}, 1, (TRAITS, COST), FLUSH, running=8)
    assert (under_way.waiting[0], under_way.running[0]) == (8, 8)


def test_an_empty_queue_has_no_coming_hours() -> None:
    nothing = outlook([], {}, 1, (TRAITS, COST), FLUSH)
    assert (nothing.seconds, sum(nothing.waiting), sum(nothing.running)) == (0.0, 0, 0)


def test_a_run_that_is_being_made_has_its_last_steps_left() -> None:
    run = make_run("r", VIDEO, steps=10)
    assert what_is_left(run, 14, 20).sampling.num_steps == 3  # of two chunks
    assert what_is_left(run, 0, 0) is run
