"""Replays arrivals under given flush rules, on devices whose launches cannot be joined."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import floor, inf
from typing import NamedTuple

from cosmos_batch.planning.policies.flush import FlushRules, Gathered, flush_in, flush_reason
from cosmos_batch.planning.policies.priority import POINT_SECONDS

POLL = 0.1
"""Seconds in which an idle device sees a run that has arrived, as in a service."""
_END = 1e15  # seconds: later than every batch


class ReplayedKind(NamedTuple):
    """Runs that may share a launch."""

    name: str
    load: float  # seconds before the first batch of a launch
    runs: int  # of a batch at most
    batch: float = 0.0  # seconds of a batch beside those of its runs


class ReplayedRun(NamedTuple):
    """A run of a replay."""

    at: float  # seconds; not before that of the run before
    kind: ReplayedKind
    seconds: float  # that it adds to its batch


@dataclass(frozen=True, slots=True)
class ReplayCost:
    """What the runs of a replay have taken so far."""

    seconds: float = 0.0  # in the system, of all runs together: from arrival to the video
    gpu_seconds: float = 0.0  # of all devices, loads included

    def weighed(self, weight: float) -> float:
        """Return the seconds in the system plus `weight` times those of devices."""
        return self.seconds + weight * self.gpu_seconds


class _Launch(NamedTuple):
    """A launch at work: its runs that have not begun, as far as no other device has taken them."""

    kind: ReplayedKind
    runs: deque[int]  # numbers of the runs


class WindowReplay:
    """Devices that begin launches of waiting runs, in one queue, whose runs all have one level of priority.

    When gathered runs are planned is decided by the code of a service (`flush_reason`, `flush_in`). As there, a
    device claims a launch batch by batch, so that an idle one may take later batches. What does not concern the
    window is left out: a launch holds the planned runs of a kind up to its longest time, the first kind is that
    whose first run came in the earliest minute, and a batch lasts as long as its runs together.
    """

    def __init__(self, rules: FlushRules, devices: int, longest_launch: float = 1800.0) -> None:
        """`longest_launch`: seconds of a launch at most, its load left out."""
        self.rules = rules
        self._longest = longest_launch
        self._free = devices
        self._busy: list[tuple[float, int, _Launch]] = []  # when the batch of each busy device ends
        self._number = 0  # of the latest run or launch
        self._gathering: list[ReplayedRun] = []
        self._counts: dict[ReplayedKind, int] = {}  # of gathering runs
        self._full = False  # some of them fill a batch
        self._planned: dict[ReplayedKind, dict[int, ReplayedRun]] = {}  # runs that have not begun, by number
        self._look = inf  # when idle devices see runs that have arrived
        self._now = 0.0
        self._seconds = 0.0
        self._gpu_seconds = 0.0

    def arrive(self, run: ReplayedRun) -> None:
        """Go on until a run arrives, and let it wait."""
        self.advance(run.at)
        self._gathering.append(run)
        count = self._counts[run.kind] = self._counts.get(run.kind, 0) + 1
        self._full |= count >= run.kind.runs
        self._look = min(self._look, run.at + POLL)

    def advance(self, until: float) -> None:
        """Go on until a time."""
        while (event := self._next_event()) < until:
            self._now = max(self._now, event)
            if self._look <= self._now:
                self._look = inf
            while self._busy and self._busy[0][0] <= self._now:
                self._continue(heappop(self._busy)[2])
            self._begin()
        self._now = max(self._now, until)

    def cost(self) -> ReplayCost:
        """Return the cost so far: of the batches that began up to their ends, and of the runs that wait."""
        waiting = sum(self._now - run.at for run in self._gathering)
        waiting += sum(self._now - run.at for runs in self._planned.values() for run in runs.values())
        return ReplayCost(self._seconds + waiting, self._gpu_seconds)

    def _next_event(self) -> float:
        batch_ends = self._busy[0][0] if self._busy else inf
        if not self._gathering or not self._free:
            return batch_ends
        if self._look < inf:
            return min(batch_ends, self._look)
        return min(batch_ends, self._now + max(POLL / 100, flush_in(self._gathered(), self.rules)))

    def _gathered(self) -> Gathered:
        gathering, now = self._gathering, self._now
        return Gathered(
            runs=len(gathering),
            urgent=0,
            ahead=0,
            oldest=now - gathering[0].at,
            latest=now - gathering[-1].at,
            idle=not self._planned,
            full=self._full,
            joinable=False,
        )

    def _begin(self) -> None:
        """Begin launches while devices are free and runs are planned."""
        while self._free:
            if self._gathering and flush_reason(self._gathered(), self.rules):
                self._plan()
            if not self._planned:
                return
            self._launch()

    def _plan(self) -> None:
        for run in self._gathering:
            self._number += 1
            self._planned.setdefault(run.kind, {})[self._number] = run
        self._gathering.clear()
        self._counts.clear()
        self._full = False

    def _launch(self) -> None:
        planned = self._planned
        kind = min(planned, key=lambda each: floor(next(iter(planned[each].values())).at / POINT_SECONDS))
        runs, seconds = deque[int](), 0.0
        for number, run in planned[kind].items():
            seconds += run.seconds
            if runs and seconds > self._longest:
                break
            runs.append(number)
        self._free -= 1
        self._batch(_Launch(kind, runs), kind.load)

    def _continue(self, launch: _Launch) -> None:
        """Begin the next batch of a launch; without one its device is free."""
        waiting = self._planned.get(launch.kind, {})
        while launch.runs and launch.runs[0] not in waiting:
            launch.runs.popleft()
        if launch.runs:
            self._batch(launch, 0.0)
        else:
            self._free += 1

    def _batch(self, launch: _Launch, load: float) -> None:
        kind, batch = launch.kind, list[ReplayedRun]()
        waiting, end = self._planned[kind], self._now + load + kind.batch
        while launch.runs and len(batch) < kind.runs:
            run = waiting.pop(launch.runs.popleft(), None)
            if run is not None:
                batch.append(run)
                end += run.seconds
        if not waiting:
            del self._planned[kind]
        self._seconds += sum([end - run.at for run in batch])
        self._gpu_seconds += end - self._now
        self._number += 1
        heappush(self._busy, (end, self._number, launch))


def replay(runs: Iterable[ReplayedRun], rules: FlushRules, devices: int) -> ReplayCost:
    """Return the cost of runs in the order of their arrival, until the last of them has its video."""
    made = WindowReplay(rules, devices)
    for run in runs:
        made.arrive(run)
    made.advance(_END)
    return made.cost()
