"""The choice of a window: what pays is found, and found again when it changes."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_batch.simulation.shadow.window_choice import EVERY, ShadowReplays, WindowChooser, fixed_window
from cosmos_batch.simulation.shadow.window_replay import ReplayedKind, ReplayedRun

KIND = ReplayedKind("edge", 120.0, 8)
CANDIDATES = (fixed_window(20), fixed_window(0), fixed_window(80))
NONE, LONG = 1, 2  # places of the last two


def alone(start: float) -> list[ReplayedRun]:
    """Runs that come an hour apart: waiting gains nothing."""
    return [ReplayedRun(start + 3600.0 * number, KIND, 60.0) for number in range(EVERY)]


def pairs(start: float) -> list[ReplayedRun]:
    """Runs that come in pairs, 60 s apart: each second one of a pair is spared a load."""
    return [
        ReplayedRun(start + 3600.0 * (number // 2) + 60.0 * (number % 2), KIND, 60.0) for number in range(EVERY)
    ]


def choices(streams: Sequence[list[ReplayedRun]], memory: float, weight: float = 1.0) -> list[int]:
    """The choice after each stream."""
    shadows, chooser = ShadowReplays(CANDIDATES, 1), WindowChooser(len(CANDIDATES), weight, memory)
    found = []
    for runs in streams:
        for run in runs:
            shadows.arrive(run)
        found.append(chooser.choose(shadows.costs()))
    return found


def test_the_window_that_would_have_been_best_is_chosen() -> None:
    assert choices([alone(0)], memory=1000) == [NONE]
    assert choices([pairs(0)], memory=1000) == [LONG]


def test_device_time_that_counts_more_makes_waiting_pay() -> None:
    # A pair that waits for 80 s takes 360 + 300 s with one load; without waiting 180 + 300 s with two
    assert choices([pairs(0)], memory=1000, weight=0.0) == [NONE]
    assert choices([pairs(0)], memory=1000, weight=2.0) == [LONG]


def test_a_choice_follows_a_change_of_the_arrivals() -> None:
    streams = [alone(1e7 * number) if number < 2 else pairs(1e7 * number) for number in range(8)]
    found = choices(streams, memory=500, weight=2.0)
    assert found[1] == NONE
    assert found[-1] == LONG


def test_the_advantage_is_a_share_of_what_the_other_costs() -> None:
    shadows, chooser = ShadowReplays(CANDIDATES, 1), WindowChooser(len(CANDIDATES), weight=0.0)
    assert chooser.advantage(0) == 0
    for run in alone(0):
        shadows.arrive(run)
    chooser.choose(shadows.costs())
    assert 0.05 < chooser.advantage(0) < 0.15  # 20 of 200 s
    assert chooser.advantage(chooser.chosen) == 0
