"""The plan of a service's queue: waiting runs are collected, planned in groups, and ordered as launches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from heapq import nlargest
from itertools import islice

from cosmos_batch.dispatch.scheduler.ports import CostSource, OtherWorkers, PredictionSource
from cosmos_batch.dispatch.scheduler.present_rules import PresentRules
from cosmos_batch.dispatch.scheduler.queue_planner import QueuePlanner, SchedulerSettings, first_run, plan_order
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Kind, Launch
from cosmos_batch.planning.policies.admission import Candidate
from cosmos_batch.planning.policies.flush import Gathered, fills_a_batch, flush_in, flush_reason
from cosmos_batch.planning.policies.launch_queue import LaunchQueue, Place
from cosmos_batch.planning.policies.load_balance import EXACT_OTHERS, near, prefetch_candidates
from cosmos_batch.planning.policies.placement import Device, left_to
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, ResolvedRun

CANDIDATES = 64  # runs that are considered when a running batch has room
PREFETCHED_LAUNCHES = 6  # launches at most whose runs are prefetched
PLANNING_SHARE = 0.01  # of the time that planning everything anew may take


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
        predictions: PredictionSource | None = None,
    ) -> None:
        """`prior`: the cost model before anything is measured."""
        self._waiting = waiting
        self.rules = PresentRules(settings, waiting, predictions)
        self._traits = traits
        self._settings = settings
        self._clock = clock
        self.planner = QueuePlanner(waiting, traits, prior, costs, settings)
        self._device = Device(settings.placement, prior)
        self._gathering: dict[str, float] = {}  # runs that are not planned, and since when
        self._launches = LaunchQueue()
        self._with_room: set[str] = set()  # first runs of the launches that can take another run
        self._urgent: set[str] = set()  # urgent runs that have waited; some may not wait any more
        self._planned: dict[str, int] = {}  # priorities of the runs of the launches, by id
        self._pace = Throttle(0.0, clock, PLANNING_SHARE)
        self._flushed = ""
        self._others = OtherWorkers()
        self._left: tuple[str, float] = "", 0.0  # first run of a launch that is left to another worker; since when

    @property
    def launches(self) -> Iterator[PlannedLaunch]:
        """The planned launches that have not begun, in order."""
        return iter(self._launches)

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of the planned launches."""
        return self._launches.kinds

    @property
    def cost(self) -> CostModel:
        """The cost model of the latest plan."""
        return self.planner.cost

    @property
    def flushed(self) -> str:
        """Why runs were last planned."""
        return self._flushed

    @property
    def others(self) -> OtherWorkers:
        """The other workers, as last seen."""
        return self._others

    @property
    def loaded(self) -> Kind | None:
        """What the device holds; None: nothing, or every launch loads the model anew."""
        return self._device.loaded

    @property
    def leave(self) -> float:
        """For how many seconds a launch is left to an idle worker whose device is readier for it."""
        return self._settings.placement.leave

    def holds(self, loaded: Kind | None) -> None:
        """Note what the device holds from now on."""
        self._device = self._device.holding(loaded, self.planner.cost)

    def take_refused(self) -> dict[str, str]:
        """Return the runs that the engine cannot make, with the reasons, and forget them."""
        refused, self.planner.refused = self.planner.refused, {}
        return refused

    def refresh(self, latest: int) -> None:
        """Catch up with the ledger, whose latest change is that."""
        if latest == self._waiting.latest:
            return
        changed = self._waiting.refresh(latest)
        now = self._clock()
        entries = self._waiting.entries
        planned = self._planned
        moved = {each for each in changed if planned.get(each, entries[each].priority) != entries[each].priority}
        if moved:
            self._withdraw(moved)
        for run_id in changed:
            if run_id not in self._planned:
                self._gathering.setdefault(run_id, min(now, entries[run_id].created))
            if entries[run_id].priority >= Priority.URGENT:
                self._urgent.add(run_id)
            elif self._urgent:
                self._urgent.discard(run_id)

    def _withdraw(self, ids: Set[str]) -> None:
        """Take runs whose priority was changed out of the planned launches."""
        kept: list[PlannedLaunch] = []
        for planned in self._launches:
            runs = planned.launch.runs
            if ids.isdisjoint(run.id for run in runs):
                kept.append(planned)
            elif left := [run.id for run in runs if run.id not in ids and run.id in self._waiting.entries]:
                launch = self.planner.part(planned.launch, set(left))
                kept.append(PlannedLaunch(max(map(self.planner.rank_of, left)), launch))
        self._set_launches(sorted(kept, key=lambda each: each.rank, reverse=True))
        self._forget_planned(ids)

    def _set_launches(self, launches: Iterable[PlannedLaunch]) -> None:
        self._launches = LaunchQueue()
        self._with_room.clear()
        self._add_launches(launches)

    def _add_launches(self, launches: Iterable[PlannedLaunch]) -> None:
        for planned in launches:
            if self._traits.steppable and self.planner.has_room(planned):
                self._with_room.add(first_run(planned))
            self._launches.add((planned,))

    def see_others(self, others: OtherWorkers) -> None:
        """Note the state of the other workers."""
        self._others = others

    def end(self, launch: Launch) -> None:
        """Note that a launch is over: its runs that still wait gather again."""
        self._gather_again([run.id for run in launch.runs])

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
        self._device = self._device.holding(self._device.loaded, self.cost, self.rules.placement)
        while self._launches:
            place = self._device.pick(self._launches, self._others.busy)
            chosen = place[3]
            if (same_session and self._waiting.any_suspect(chosen.launch.runs)) or self._leaves(chosen):
                return None
            self._remove(place)
            launch = self._still_waiting(chosen.launch)
            if launch is not None:
                return launch
        return None

    def _remove(self, place: Place) -> None:
        self._launches.remove(place)
        self._with_room.discard(first_run(place[3]))

    def _leaves(self, chosen: PlannedLaunch) -> bool:
        """Whether a launch is left, for a moment, to another idle worker whose device is readier for it."""
        idle = self._others.idle
        if not idle or not left_to(idle, self.loaded, chosen.launch.kind):
            return False
        run_id, now = first_run(chosen), self._clock()
        if run_id != self._left[0]:
            self._left = run_id, now
        return now < self._left[1] + self.leave

    def next_urgent(self) -> Launch | None:
        """Take the first launch out of the queue if it has urgent runs; None where it has none."""
        self._drop_taken()
        self.gather()
        while (rank := self._launches.greatest) is not None and rank.urgent:
            place = self._launches.heads[0]
            self._remove(place)
            if (launch := self._still_waiting(place[3].launch)) is not None:
                return launch
        return None

    def upcoming(self) -> tuple[ResolvedRun, ...]:
        """Return the waiting runs of the launches that are likely to be next, the likeliest first, up to one that
        may not share the session. None with many other workers: each run is likelier to begin elsewhere.
        """
        others = len(self._others.busy)
        if others > EXACT_OTHERS:
            return ()
        self._drop_taken()
        found: list[ResolvedRun] = []
        head = list(islice(self._launches, near(others) or PREFETCHED_LAUNCHES))
        at_the_end = others if len(self._launches) <= near(others) else 0
        for likely in prefetch_candidates(head, at_the_end, PREFETCHED_LAUNCHES):
            if self._waiting.any_suspect(likely.launch.runs):
                break
            found += [run for run in likely.launch.runs if run.id in self._waiting.entries]
        return tuple(found)

    def _drop_taken(self) -> None:
        """Drop those of the first launches whose runs other workers have claimed."""
        if (others := len(self._others.busy)) > EXACT_OTHERS:
            return  # a launch whose runs are taken is dropped when it would begin
        entries = self._waiting.entries
        head = islice(self._launches.places(), max(CANDIDATES, near(others)))
        for place in [place for place in head if not any(run.id in entries for run in place[3].launch.runs)]:
            self._remove(place)
            self._forget_planned(run.id for run in place[3].launch.runs)

    def _forget_planned(self, ids: Iterable[str]) -> None:
        for run_id in ids:
            self._planned.pop(run_id, None)

    def gather(self, idle: bool = False) -> None:
        """Plan the gathered runs where the flush rules say so."""
        if not self._gathering:
            return
        ready = self._ready_gathering()
        if ready and (reason := flush_reason(self._gathered(ready, idle), self.rules.flush)):
            self._flush(ready, reason)

    def next_in(self) -> float:
        """Return the seconds after which time alone may bring a launch."""
        if not self._gathering:
            return float("inf")
        now = self._clock()
        later = [entry.not_before - now for entry in self.deferred(now)]
        return min([flush_in(self._gathered(self._ready_gathering(), True), self.rules.flush), *later])

    @property
    def urgent_waits(self) -> bool:
        """Whether an urgent run waits."""
        if self._urgent:
            self._urgent &= self._waiting.entries.keys()
        return bool(self._urgent)

    def candidates(self) -> list[Candidate]:
        """Return the runs that may join a running batch, those with the greatest rank first."""
        found = nlargest(CANDIDATES, self._ready(self._gathering), key=self._precedence)
        found += [entry for entry in self._planned_ready() if entry.id not in self._gathering]
        found.sort(key=self._precedence, reverse=True)
        runs = self._waiting.runs([entry.id for entry in found[:CANDIDATES]])
        suspects = {run.id for run in runs if self._waiting.entries[run.id].crashes}
        return [
            Candidate(run.id, self._waiting.run_class(run), self.planner.rank_of(run.id), run.id in suspects)
            for run in runs
        ]

    def _precedence(self, entry: QueueEntry) -> tuple[Rank, float]:
        """Sort key of runs that may join: of equal ranks the run that was submitted first is the greatest."""
        return self.planner.rank_of_entry(entry), -entry.created

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
        now, entries = self._clock(), self._waiting.entries
        return [entry for id_ in ids if (entry := entries.get(id_)) is not None and entry.not_before <= now]

    def deferred(self, now: float) -> list[QueueEntry]:
        """Return the waiting runs that may not begin yet."""
        if not self._gathering:
            return []
        entries = self._waiting.entries
        return [
            entry for id_ in self._gathering if (entry := entries.get(id_)) is not None and entry.not_before > now
        ]

    def _ready_gathering(self) -> list[QueueEntry]:
        """Return the gathering runs that can begin; those that do not wait any more gather no longer."""
        gathering, entries = self._gathering, self._waiting.entries
        for run_id in [run_id for run_id in gathering if run_id not in entries]:
            del gathering[run_id]
        return self._ready(gathering)

    def _gathered(self, ready: Sequence[QueueEntry], idle: bool) -> Gathered:
        gathering, now = self._gathering, self._clock()
        seen = [max(gathering[entry.id], entry.not_before) for entry in ready]
        urgent = sum([entry.priority >= Priority.URGENT for entry in ready])
        ahead = len(self._before_planned(ready))
        joinable = self._traits.steppable
        planned_anyway = urgent or ahead or (idle and joinable and self.rules.flush.at_once)
        return Gathered(
            runs=len(ready),
            urgent=urgent,
            ahead=ahead,
            oldest=now - min(seen, default=now),
            latest=now - max(seen, default=now),
            idle=idle,
            full=not planned_anyway and self._full(ready),
            joinable=joinable,
        )

    def _full(self, ready: Sequence[QueueEntry]) -> bool:
        """Return whether some of the runs fill a batch. Not computed where they are planned anyway."""
        if not 0 < len(ready) < self.rules.flush.runs:
            return False
        runs = self._waiting.runs([entry.id for entry in ready])
        if any(map(self.planner.fills_alone, runs)):
            return True
        return fills_a_batch(runs, self._traits, self.cost, self._waiting.facts)

    def _flush(self, ready: Sequence[QueueEntry], reason: str) -> None:
        """Plan the gathered runs, with all others where that may change something.

        While planning everything is not due yet, only the runs that go before what is planned.
        """
        if not self._launches or self._pace.due():
            started = self._clock()
            if self.planner.refit() or not self._traits.steppable or self.planner.may_unite(ready, self._launches):
                self.plan()
            else:
                self._plan_with_room(ready)
            self._pace.spent(self._clock() - started)
        elif first := self._before_planned(ready):
            self._add(first)
        else:
            return
        self._flushed = reason

    def _plan_with_room(self, ready: Sequence[QueueEntry]) -> None:
        """Plan runs together with those of the launches that have room. All other launches stay as they are."""
        if self._with_room:
            entries = self._waiting.entries
            again: dict[str, QueueEntry] = {}
            for place in [each for each in self._launches.places() if first_run(each[3]) in self._with_room]:
                self._remove(place)
                again |= {run.id: entries[run.id] for run in place[3].launch.runs if run.id in entries}
            ready = list((again | {entry.id: entry for entry in ready}).values())
        self._add(sorted(ready, key=plan_order) if len(ready) > 1 else ready, separate=True)

    def _before_planned(self, ready: Iterable[QueueEntry]) -> list[QueueEntry]:
        """Return the runs that go before everything that is planned."""
        greatest, rank_of = self._launches.greatest, self.planner.rank_of_entry
        return [] if greatest is None else [entry for entry in ready if rank_of(entry) > greatest]

    def plan(self) -> None:
        """Plan every waiting run anew."""
        self.planner.refit()
        self._set_launches(())
        self._planned = {}
        ready = sorted(self._ready(self._waiting.entries), key=plan_order)
        ids = {entry.id for entry in ready}
        self._gathering = {
            run_id: since for run_id, since in self._gathering.items() if run_id not in ids
        } | dict.fromkeys(self._waiting.entries.keys() - ids - self._gathering.keys(), self._clock())
        self._add(ready)

    def _add(self, entries: Sequence[QueueEntry], *, separate: bool = False) -> None:
        """Plan these runs, and insert their launches. `separate`: their kinds have no launch in common."""
        runs = self._waiting.runs([entry.id for entry in entries])
        plan = self.planner.separate_launches if separate else self.planner.launches
        self._add_launches(plan(runs))
        for run in runs:
            self._planned[run.id] = run.priority
        for entry in entries:
            self._gathering.pop(entry.id, None)

    def _still_waiting(self, launch: Launch) -> Launch | None:
        """Return the launch without runs that were claimed or may not begin yet; None if no run is left."""
        ids = [run.id for run in launch.runs]
        self._forget_planned(ids)
        free = {entry.id for entry in self._ready(ids)}
        if len(free) == len(ids):
            return launch
        self._gather_again([run_id for run_id in ids if run_id not in free])
        return self.planner.part(launch, free) if free else None
