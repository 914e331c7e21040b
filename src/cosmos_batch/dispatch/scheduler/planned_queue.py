"""The plan of a service's queue: waiting runs are collected, planned in groups, and ordered as launches."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from heapq import nlargest

from cosmos_batch.dispatch.scheduler.ports import CostSource
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.errors import PlanError
from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.cost.model import CostModel, features
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.admission import Candidate
from cosmos_batch.planning.policies.flush import FlushRules, Gathered, fills_a_batch, flush_in, flush_reason
from cosmos_batch.planning.policies.load_balance import near, pick_next, prefetch_candidates
from cosmos_batch.planning.policies.priority import POINT_SECONDS, PlannedLaunch, Rank, order_launches, rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun

CANDIDATES = 64  # runs that are considered when a running batch has room
PREFETCHED_LAUNCHES = 6  # launches at most whose runs are prefetched
PLANNING_SHARE = 0.01  # of the time that planning everything anew may take


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How a worker plans its queue."""

    rules: FlushRules = field(default_factory=FlushRules)
    point_seconds: float = POINT_SECONDS  # of waiting that count as much as a point of priority
    longest_launch: float = 1800.0  # seconds of a launch that no run can join


class PlannedQueue:
    """The waiting runs of a worker: those that gather, and those that are planned, as launches in order."""

    def __init__(
        self,
        waiting: WaitingRuns,
        traits: Traits,
        prior: CostModel,
        costs: CostSource,
        settings: SchedulerSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`prior`: the cost model before anything is measured."""
        self._waiting = waiting
        self._traits = traits
        self._costs = costs
        self._settings = settings
        self._clock = clock
        self._gathering: dict[str, float] = {}  # runs that are not planned, and since when
        self._launches: list[PlannedLaunch] = []  # in order
        self._planned: dict[str, int] = {}  # priorities of the runs of the launches, by id
        self._pace = Throttle(0.0, clock, PLANNING_SHARE)
        self._refused: dict[str, str] = {}
        self._cost = prior
        self._flushed = ""
        self._others: Sequence[float] = ()

    @property
    def launches(self) -> Sequence[PlannedLaunch]:
        """The planned launches that have not begun, in order."""
        return self._launches

    @property
    def cost(self) -> CostModel:
        """The cost model of the latest plan."""
        return self._cost

    @property
    def flushed(self) -> str:
        """Why runs were last planned."""
        return self._flushed

    @property
    def others(self) -> Sequence[float]:
        """For how many more seconds each other worker is busy, as last seen."""
        return self._others

    def take_refused(self) -> dict[str, str]:
        """Return the runs that the engine cannot make, with the reasons, and forget them."""
        refused, self._refused = self._refused, {}
        return refused

    def refresh(self, latest: int) -> bool:
        """Catch up with the ledger, whose latest change is that; return whether anything has changed."""
        known = self._waiting.latest
        changed = self._waiting.refresh(latest)
        now = self._clock()
        entries = self._waiting.entries
        planned = [run_id for run_id in changed if run_id in self._planned]
        if moved := {run_id for run_id in planned if self._planned[run_id] != entries[run_id].priority}:
            self._withdraw(moved)
        for run_id in changed:
            if run_id not in self._planned:
                self._gathering.setdefault(run_id, now)
        return known != latest

    def _withdraw(self, ids: Set[str]) -> None:
        """Take runs whose priority was changed out of the planned launches."""
        kept: list[PlannedLaunch] = []
        for planned in self._launches:
            runs = planned.launch.runs
            if ids.isdisjoint(run.id for run in runs):
                kept.append(planned)
            elif left := [run.id for run in runs if run.id not in ids and run.id in self._waiting.entries]:
                launch = self._take(planned.launch, set(left))
                kept.append(PlannedLaunch(max(map(self.rank_of, left)), launch))
        self._launches = sorted(kept, key=lambda each: each.rank, reverse=True)
        self._forget_planned(ids)

    def see_others(self, busy: Sequence[float]) -> None:
        """Note for how many more seconds each other worker is busy."""
        self._others = busy

    def end(self, launch: Launch) -> None:
        """Note that a launch is over: its runs that still wait gather again."""
        self._gather_again(run.id for run in launch.runs)

    def _gather_again(self, ids: Iterable[str]) -> None:
        for run_id in ids:
            if run_id in self._waiting.entries and run_id not in self._planned:
                self._gathering.setdefault(run_id, self._clock())

    def next(self, *, same_session: bool = False) -> Launch | None:
        """Take the launch that begins next out of the queue; None where there is none yet.

        `same_session`: it would share the session of the last launch; None where it may not.
        """
        self._drop_taken()
        self.gather(idle=not self._launches)
        while self._launches:
            (chosen,) = pick_next(self._launches, self._others, 1)
            if same_session and not self._may_share(chosen.launch):
                return None
            self._launches = [other for other in self._launches if other is not chosen]
            launch = self._still_waiting(chosen.launch)
            if launch is not None:
                return launch
        return None

    def next_urgent(self) -> Launch | None:
        """Take the first launch out of the queue if it has urgent runs; None where it has none."""
        self._drop_taken()
        self.gather()
        while self._launches and self._launches[0].rank.urgent:
            if (launch := self._still_waiting(self._launches.pop(0).launch)) is not None:
                return launch
        return None

    def upcoming(self) -> tuple[ResolvedRun, ...]:
        """Return the waiting runs of the launches that are likely to be next, the likeliest first, up to one that
        may not share the session.
        """
        self._drop_taken()
        found: list[ResolvedRun] = []
        for likely in prefetch_candidates(self._launches, len(self._others), PREFETCHED_LAUNCHES):
            if not self._may_share(likely.launch):
                break
            found += [run for run in likely.launch.runs if run.id in self._waiting.entries]
        return tuple(found)

    def _drop_taken(self) -> None:
        """Drop those of the first launches whose runs other workers have claimed."""
        count = max(CANDIDATES, near(len(self._others)))
        head = self._launches[:count]
        left = [each for each in head if any(run.id in self._waiting.entries for run in each.launch.runs)]
        if len(left) < len(head):
            self._launches[:count] = left
            kept = {run.id for each in left for run in each.launch.runs}
            self._forget_planned({run.id for each in head for run in each.launch.runs} - kept)

    def _forget_planned(self, ids: Iterable[str]) -> None:
        for run_id in ids:
            self._planned.pop(run_id, None)

    def _may_share(self, launch: Launch) -> bool:
        """Return whether a launch may share a session: not where one of its runs has crashed a worker."""
        found = (self._waiting.entries.get(run.id) for run in launch.runs)
        return not any(entry is not None and entry.crashes for entry in found)

    def gather(self, idle: bool = False) -> None:
        """Plan the gathered runs where the flush rules say so."""
        if reason := flush_reason(self._gathered(idle), self._settings.rules):
            self._flush(reason)

    def next_in(self) -> float:
        """Return the seconds after which time alone may bring a launch."""
        now = self._clock()
        later = [entry.not_before - now for entry in self.deferred(now)]
        return min([flush_in(self._gathered(True), self._settings.rules), *later])

    def candidates(self) -> list[Candidate]:
        """Return the runs that may join a running batch, those with the greatest rank first."""
        found = nlargest(CANDIDATES, self._ready(self._gathering), key=self._rank)
        found += [entry for entry in self._planned_ready() if entry.id not in self._gathering]
        found.sort(key=self._rank, reverse=True)
        runs = self._waiting.runs([entry.id for entry in found[:CANDIDATES]])
        suspects = {run.id for run in runs if self._waiting.entries[run.id].crashes}
        return [
            Candidate(run.id, self._waiting.run_class(run), self.rank_of(run.id), run.id in suspects)
            for run in runs
        ]

    def rank_of(self, run_id: str) -> Rank:
        """Return a waiting run's rank."""
        return self._rank(self._waiting.entries[run_id])

    def _rank(self, entry: QueueEntry) -> Rank:
        return rank(entry.priority, entry.created, self._settings.point_seconds)

    def _planned_ready(self) -> Iterator[QueueEntry]:
        """Yield the first planned runs that can begin."""
        found = 0
        for each in self._launches:
            ready = self._ready(run.id for run in each.launch.runs)
            yield from ready
            found += len(ready)
            if found >= CANDIDATES:
                return

    def _ready(self, ids: Iterable[str]) -> list[QueueEntry]:
        now = self._clock()
        entries = (self._waiting.entries.get(id_) for id_ in ids)
        return [entry for entry in entries if entry is not None and entry.not_before <= now]

    def deferred(self, now: float) -> list[QueueEntry]:
        """Return the waiting runs that may not begin yet."""
        entries = (self._waiting.entries.get(id_) for id_ in self._gathering)
        return [entry for entry in entries if entry is not None and entry.not_before > now]

    def _gathered(self, idle: bool) -> Gathered:
        for run_id in [run_id for run_id in self._gathering if run_id not in self._waiting.entries]:
            del self._gathering[run_id]
        ready = self._ready(self._gathering)
        now = self._clock()
        seen = [max(self._gathering[entry.id], entry.not_before) for entry in ready]
        return Gathered(
            runs=len(ready),
            urgent=sum(self._rank(entry).urgent for entry in ready),
            ahead=len(self._before_planned(ready)),
            oldest=now - min(seen, default=now),
            latest=now - max(seen, default=now),
            idle=idle,
            full=self._full(ready),
            joinable=self._traits.steppable,
        )

    def _full(self, ready: Sequence[QueueEntry]) -> bool:
        """Return whether some of the runs fill a batch. Not computed at the number that is planned anyway."""
        if not 0 < len(ready) < self._settings.rules.runs:
            return False
        runs = self._waiting.runs([entry.id for entry in ready])
        return fills_a_batch(runs, self._traits, self._cost, self._waiting.facts)

    def _flush(self, reason: str) -> None:
        """Plan everything anew; while that is not due yet, only the runs that go before what is planned."""
        if not self._launches or self._pace.due():
            started = self._clock()
            self.plan()
            self._pace.spent(self._clock() - started)
        elif first := self._before_planned(self._ready(self._gathering)):
            self._add(first)
        else:
            return
        self._flushed = reason

    def _before_planned(self, ready: Iterable[QueueEntry]) -> list[QueueEntry]:
        """Return the runs that go before everything that is planned."""
        if not self._launches:
            return []
        return [entry for entry in ready if self._rank(entry) > self._launches[0].rank]

    def plan(self) -> None:
        """Plan every waiting run anew."""
        self._cost = self._costs.refit()
        self._launches, self._planned = [], {}
        ready = self._ready(self._waiting.entries)
        ready.sort(key=lambda entry: (-entry.priority, entry.created, entry.id))
        ids = {entry.id for entry in ready}
        self._gathering = {
            run_id: since for run_id, since in self._gathering.items() if run_id not in ids
        } | dict.fromkeys(self._waiting.entries.keys() - ids - self._gathering.keys(), self._clock())
        self._add(ready)

    def _add(self, entries: Sequence[QueueEntry]) -> None:
        """Plan these runs, and insert their launches among those that are planned."""
        runs = self._waiting.runs([entry.id for entry in entries])
        alone = [run for run in runs if self._waiting.entries[run.id].crashes]
        together = [run for run in runs if not self._waiting.entries[run.id].crashes]
        found = self._planned_launches(together)
        for run in alone:
            found += [_alone(each) for each in self._planned_launches([run])]
        if self._launches:
            for each in found:
                insort(self._launches, each, key=lambda each: _descending(each.rank))
        else:
            self._launches = sorted(found, key=lambda each: each.rank, reverse=True)
        self._planned |= {run.id: run.priority for run in runs}
        for entry in entries:
            self._gathering.pop(entry.id, None)

    def _planned_launches(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        if not runs:
            return []
        try:
            plan = plan_runs(runs, self._traits, self._cost, facts=self._waiting.facts)
        except PlanError:
            return self._planned_launches(self._without_refused(runs))
        fitting = replace(plan, launches=tuple(self._fitting(launch) for launch in plan.launches))
        return order_launches(fitting, self.rank_of, self._traits.steppable, self._settings.longest_launch)

    def _fitting(self, launch: Launch) -> Launch:
        """Return the launch with batches no larger than what is known to fit."""
        batches = [part for batch in launch.batches for part in self._parts(batch)]
        return replace(launch, batches=tuple(batches))

    def _parts(self, batch: Batch) -> Sequence[Batch]:
        limit = self._costs.max_runs(batch.shape)
        return batch.split(limit, self.batch_seconds) if limit and len(batch.runs) > limit else (batch,)

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        """Predict the seconds of a batch of these runs."""
        return self._cost.batch_seconds(features([self._waiting.run_class(run).work for run in runs], branches=0))

    def _without_refused(self, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """Return the runs that the engine can make; the others are refused."""
        refused = refusals_by_run(runs, self._traits, self._waiting.facts)
        for run_id, problems in refused.items():
            self._refused[run_id] = "; ".join(str(problem) for problem in problems)
            self._waiting.forget(run_id)
        return [run for run in runs if run.id not in refused]

    def _still_waiting(self, launch: Launch) -> Launch | None:
        """Return the launch without runs that were claimed or may not begin yet; None if no run is left."""
        ids = {run.id for run in launch.runs}
        self._forget_planned(ids)
        free = {entry.id for entry in self._ready(ids)}
        self._gather_again(ids - free)
        return self._take(launch, free) if free else None

    def _take(self, launch: Launch, ids: Set[str]) -> Launch:
        """Return the launch with these of its runs alone."""
        batches = []
        for batch in launch.batches:
            left = [run for run in batch.runs if run.id in ids]
            if len(left) == len(batch.runs):
                batches.append(batch)
            elif left:
                batches.append(batch.take(left, self.batch_seconds))
        return replace(launch, batches=tuple(batches))


def _descending(rank: Rank) -> tuple[int, int]:
    return -rank.level, -rank.points


def _alone(planned: PlannedLaunch) -> PlannedLaunch:
    reason = f"alone, since a worker crashed while executing it: {planned.launch.reason}"
    return PlannedLaunch(planned.rank, replace(planned.launch, reason=reason))
