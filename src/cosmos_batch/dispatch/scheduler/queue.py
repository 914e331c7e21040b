"""What a worker does next: runs gather, are planned together, and get their turns."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest

from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.errors import PlanError
from cosmos_batch.ledger import Ledger, QueueEntry, State
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel, features
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.admission import Candidate
from cosmos_batch.planning.policies.flush import FlushRules, Gathered, fills_a_batch, flush_in, flush_reason
from cosmos_batch.planning.policies.load_balance import near, pick_next, prefetch_candidates
from cosmos_batch.planning.policies.priority import POINT_SECONDS, PlannedLaunch, Rank, order_launches, rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, ResolvedRun

LESSONS = 500  # measurements that the cost model is fitted to, the latest
CANDIDATES = 64  # runs that are thought of when a running batch has room
AHEAD = 6  # launches at most whose runs are expected


class PlanPace(Throttle):
    """Planning everything anew takes no more than a hundredth of the time."""

    SHARE = 0.01


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How a worker goes about its queue."""

    rules: FlushRules = field(default_factory=FlushRules)
    point_seconds: float = POINT_SECONDS  # of waiting that count as much as a point of priority
    longest_launch: float = 1800.0  # seconds of a launch that nobody can join


class QueueScheduler:
    """The waiting runs of a worker, gathered and planned."""

    def __init__(
        self,
        waiting: WaitingRuns,
        ledger: Ledger,
        traits: Traits,
        prior: CostModel,
        lessons: MeasurementLog,
        habits: SchedulerSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`prior`: what is believed of the engine's cost before anything is measured."""
        self._waiting = waiting
        self._ledger = ledger
        self._traits = traits
        self._prior = prior
        self._lessons = lessons
        self._habits = habits
        self._clock = clock
        self._fresh: dict[str, float] = {}  # runs that are in no turn, and when they were first seen so
        self._turns: list[PlannedLaunch] = []  # in order
        self._planned: set[str] = set()
        self._pace = PlanPace(0.0, clock)
        self.point_seconds = habits.point_seconds
        self.cost = prior
        self.flushed = ""  # why runs were last planned
        self.others: list[float] = []  # seconds that each other worker is still busy, as last seen

    @property
    def turns(self) -> Sequence[PlannedLaunch]:
        """What was planned and has not begun, in order."""
        return self._turns

    def refresh(self, latest: int) -> bool:
        """Catch up with the ledger, whose latest change is that; returns whether anything has changed."""
        known = self._waiting.latest
        changed = self._waiting.refresh(latest)
        now = self._clock()
        for run_id in changed:
            if run_id not in self._planned or self._waiting.entries[run_id].priority >= Priority.URGENT:
                self._fresh.setdefault(run_id, now)
        return known != latest

    def over(self, launch: Launch) -> None:
        """A launch is over; those of its runs that still wait gather again."""
        self._gather(run.id for run in launch.runs)

    def _gather(self, ids: Iterable[str]) -> None:
        """Those of the runs that wait, and are in no turn, are to be planned."""
        for run_id in ids:
            if run_id in self._waiting.entries and run_id not in self._planned:
                self._fresh.setdefault(run_id, self._clock())

    def next(self, idle: bool = True, *, going_on: bool = False) -> Launch | None:
        """The launch whose turn it is; None where there is none yet.

        `idle`: the device has nothing to do. `going_on`: it would go on in the session of the last launch, while
        the files of that are written; None where it may not.
        """
        self._drop_taken()
        self.gather(idle and not self._turns)
        while self._turns:
            (turn,) = pick_next(self._turns, self.others, 1)
            if going_on and not self._may_go_on(turn.launch):
                return None
            self._turns = [other for other in self._turns if other is not turn]
            launch = self._still_waiting(turn.launch)
            if launch is not None:
                return launch
        return None

    def upcoming(self) -> tuple[ResolvedRun, ...]:
        """The waiting runs of the launches that are likely to be next, the likeliest first; up to one that may not
        go on in the session at work.
        """
        self._drop_taken()
        found: list[ResolvedRun] = []
        for turn in prefetch_candidates(self._turns, len(self.others), AHEAD):
            if not self._may_go_on(turn.launch):
                break
            found += [run for run in turn.launch.runs if run.id in self._waiting.entries]
        return tuple(found)

    def _drop_taken(self) -> None:
        """Forget those of the first turns whose runs others have taken: the rest is what is to be shared."""
        count = max(CANDIDATES, near(len(self.others)))
        head = self._turns[:count]
        left = [turn for turn in head if any(run.id in self._waiting.entries for run in turn.launch.runs)]
        if len(left) < len(head):
            self._turns[:count] = left
            kept = {run.id for turn in left for run in turn.launch.runs}
            self._planned -= {run.id for turn in head for run in turn.launch.runs} - kept

    def _may_go_on(self, launch: Launch) -> bool:
        """Whether a launch may share a session. One that killed a worker is to harm nobody else's files."""
        found = (self._waiting.entries.get(run.id) for run in launch.runs)
        return not any(entry is not None and entry.crashes for entry in found)

    def gather(self, idle: bool = False) -> None:
        """Plan what has gathered, once it has gathered for long enough."""
        if reason := flush_reason(self._gathered(idle), self._habits.rules):
            self._flush(reason)

    def next_in(self) -> float:
        """Seconds after which the clock alone may bring a launch."""
        now = self._clock()
        later = [entry.not_before - now for entry in self.deferred(now)]
        return min([flush_in(self._gathered(True), self._habits.rules), *later])

    def candidates(self) -> list[Candidate]:
        """The runs that may join a running batch, those with the greatest rank first."""
        near = nlargest(CANDIDATES, self._ready(self._fresh), key=self._rank)
        near += [entry for entry in self._planned_ready() if entry.id not in self._fresh]
        near.sort(key=self._rank, reverse=True)
        runs = self._waiting.runs([entry.id for entry in near[:CANDIDATES]])
        suspects = {run.id for run in runs if self._waiting.entries[run.id].crashes}
        return [
            Candidate(run.id, self._waiting.run_class(run), self.rank_of(run.id), run.id in suspects)
            for run in runs
        ]

    def rank_of(self, run_id: str) -> Rank:
        """A waiting run's rank."""
        return self._rank(self._waiting.entries[run_id])

    def _rank(self, entry: QueueEntry) -> Rank:
        return rank(entry.priority, entry.created, self._habits.point_seconds)

    def _planned_ready(self) -> Iterator[QueueEntry]:
        """The first planned runs that can begin."""
        found = 0
        for turn in self._turns:
            ready = self._ready(run.id for run in turn.launch.runs)
            yield from ready
            found += len(ready)
            if found >= CANDIDATES:
                return

    def _ready(self, ids: Iterable[str]) -> list[QueueEntry]:
        now = self._clock()
        entries = (self._waiting.entries.get(id_) for id_ in ids)
        return [entry for entry in entries if entry is not None and entry.not_before <= now]

    def deferred(self, now: float) -> list[QueueEntry]:
        """The waiting runs that are not to be begun yet."""
        entries = (self._waiting.entries.get(id_) for id_ in self._fresh)
        return [entry for entry in entries if entry is not None and entry.not_before > now]

    def _gathered(self, idle: bool) -> Gathered:
        for run_id in [run_id for run_id in self._fresh if run_id not in self._waiting.entries]:
            del self._fresh[run_id]
        ready = self._ready(self._fresh)
        now = self._clock()
        seen = [max(self._fresh[entry.id], entry.not_before) for entry in ready]
        return Gathered(
            runs=len(ready),
            urgent=sum(self._rank(entry).urgent for entry in ready),
            ahead=len(self._ahead(ready)),
            oldest=now - min(seen, default=now),
            latest=now - max(seen, default=now),
            idle=idle,
            full=self._full(ready),
            joinable=self._traits.steppable,
        )

    def _full(self, ready: Sequence[QueueEntry]) -> bool:
        """Whether some of the runs fill a batch; above the number that is planned anyway, nobody asks."""
        if not 0 < len(ready) < self._habits.rules.runs:
            return False
        runs = self._waiting.runs([entry.id for entry in ready])
        return fills_a_batch(runs, self._traits, self.cost, self._waiting.facts)

    def _flush(self, reason: str) -> None:
        """Plan everything anew; while that is not due yet, those alone that go before what is planned."""
        if not self._turns or self._pace.due():
            started = self._clock()
            self.plan()
            self._pace.spent(self._clock() - started)
        elif ahead := self._ahead(self._ready(self._fresh)):
            self._add(ahead)
        else:
            return
        self.flushed = reason

    def _ahead(self, ready: Iterable[QueueEntry]) -> list[QueueEntry]:
        """Those that go before everything that is planned."""
        if not self._turns:
            return []
        return [entry for entry in ready if self._rank(entry) > self._turns[0].rank]

    def plan(self) -> None:
        """Plan everything that waits, anew."""
        measured = self._ledger.measurements.latest(self._prior.engine, self._prior.device, LESSONS)
        self.cost = self._lessons.cost = fit(measured, self._prior)
        self._turns, self._planned = [], set()
        ready = self._ready(self._waiting.entries)
        ready.sort(key=lambda entry: (-entry.priority, entry.created, entry.id))
        ids = {entry.id for entry in ready}
        self._fresh = {
            run_id: since for run_id, since in self._fresh.items() if run_id not in ids
        } | dict.fromkeys(self._waiting.entries.keys() - ids - self._fresh.keys(), self._clock())
        self._add(ready)

    def _add(self, entries: Sequence[QueueEntry]) -> None:
        """Plan these runs, and give them their turns among those that are planned."""
        runs = self._waiting.runs([entry.id for entry in entries])
        alone = [run for run in runs if self._waiting.entries[run.id].crashes]
        together = [run for run in runs if not self._waiting.entries[run.id].crashes]
        found = self._planned_turns(together)
        for run in alone:
            found += [_suspected(turn) for turn in self._planned_turns([run])]
        if self._turns:
            for turn in found:
                insort(self._turns, turn, key=lambda turn: _descending(turn.rank))
        else:
            self._turns = sorted(found, key=lambda turn: turn.rank, reverse=True)
        self._planned |= {run.id for run in runs}
        for entry in entries:
            self._fresh.pop(entry.id, None)

    def _planned_turns(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        if not runs:
            return []
        try:
            plan = plan_runs(runs, self._traits, self.cost, facts=self._waiting.facts)
        except PlanError:
            return self._planned_turns(self._doable(runs))
        fitting = replace(plan, launches=tuple(self._fitting(launch) for launch in plan.launches))
        return order_launches(fitting, self.rank_of, self._traits.steppable, self._habits.longest_launch)

    def _fitting(self, launch: Launch) -> Launch:
        """The launch with batches no larger than what is known to fit."""
        batches = [part for batch in launch.batches for part in self._parts(batch)]
        return replace(launch, batches=tuple(batches))

    def _parts(self, batch: Batch) -> Sequence[Batch]:
        most = self._lessons.max_runs(batch.shape)
        if most is None or len(batch.runs) <= most:
            return (batch,)
        return batch.split(most, self._predicted)

    def _predicted(self, runs: Sequence[ResolvedRun]) -> float:
        """Seconds of a batch of these runs."""
        return self.cost.batch_seconds(features([self._waiting.run_class(run).work for run in runs], branches=0))

    def _doable(self, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """The runs, without those that the engine cannot do, which fail."""
        refused = refusals_by_run(runs, self._traits, self._waiting.facts)
        for run_id, problems in refused.items():
            self._ledger.runs.settle([run_id], State.FAILED, "; ".join(str(problem) for problem in problems))
            self._waiting.entries.pop(run_id, None)
        return [run for run in runs if run.id not in refused]

    def _still_waiting(self, launch: Launch) -> Launch | None:
        """The launch without runs that somebody took meanwhile, and those that are to wait, which gather again."""
        batches = []
        for batch in launch.batches:
            ids = {run.id for run in batch.runs}
            self._planned -= ids
            free = {entry.id for entry in self._ready(ids)}
            self._gather(ids - free)
            if len(free) == len(batch.runs):
                batches.append(batch)
            elif free:
                batches.append(batch.take([run for run in batch.runs if run.id in free]))
        return replace(launch, batches=tuple(batches)) if batches else None


def _descending(rank: Rank) -> tuple[bool, int]:
    return not rank.urgent, -rank.points


def _suspected(turn: PlannedLaunch) -> PlannedLaunch:
    reason = f"alone, since a worker died with it aboard: {turn.launch.reason}"
    return PlannedLaunch(turn.rank, replace(turn.launch, reason=reason))
