"""Plans waiting runs of a service as launches, with the costs and limits that are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from operator import is_

from cosmos_batch.dispatch.scheduler.ports import CostSource
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.errors import PlanError
from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.batch_size import Load, Sizing, sizing
from cosmos_batch.planning.cost.model import CostModel, features
from cosmos_batch.planning.equivalence import RunClass, refusals_by_run
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.admission import BatchCapacity
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.policies.launch_queue import Key, LaunchQueue
from cosmos_batch.planning.policies.placement import PlacementRules
from cosmos_batch.planning.policies.priority import POINT_SECONDS, PlannedLaunch, Rank, order_launches, rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, ResolvedRun, Signature


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How a worker plans its queue."""

    rules: FlushRules = field(default_factory=FlushRules)
    point_seconds: float = POINT_SECONDS  # of waiting that count as much as a point of priority
    longest_launch: float = 1800.0  # seconds of a launch that no run can join
    placement: PlacementRules = field(default_factory=PlacementRules)


@dataclass(frozen=True, slots=True)
class _LoneLaunch:
    """The launch of one run, whichever of its class: only the run is its own."""

    launch: Launch
    room: bool  # its batch can take another run of the class


class QueuePlanner:
    """Plans waiting runs. It remembers the launch of a lone run of each class, for runs that come one by one."""

    def __init__(
        self,
        waiting: WaitingRuns,
        traits: Traits,
        prior: CostModel,
        costs: CostSource,
        settings: SchedulerSettings,
    ) -> None:
        """`prior`: the cost model before anything is measured."""
        self._waiting = waiting
        self._traits = traits
        self._costs = costs
        self._settings = settings
        self._cost = prior
        self._lone: dict[tuple[RunClass, Priority], _LoneLaunch] = {}
        self._alone_seconds: dict[RunClass, float] = {}
        self._sizing: dict[Signature, Sizing] = {}
        self._fills: dict[tuple[RunClass, Signature], bool] = {}
        self.refused: dict[str, str] = {}  # runs that the engine cannot make, with the reasons, by id

    @property
    def cost(self) -> CostModel:
        """The cost model of the latest plan."""
        return self._cost

    def refit(self) -> bool:
        """Fit the cost model to the latest measurements; return whether it has changed."""
        cost = self._costs.refit()
        changed = cost is not self._cost and cost != self._cost
        if changed:
            self._cost = cost
            self._lone.clear()
            self._alone_seconds.clear()
            self._sizing.clear()
            self._fills.clear()
        return changed

    def rank_of(self, run_id: str) -> Rank:
        """Return a waiting run's rank."""
        return self.rank_of_entry(self._waiting.entries[run_id])

    def rank_of_entry(self, entry: QueueEntry) -> Rank:
        """Return the rank of a run that waits, or waited."""
        return rank(entry.priority, entry.created, self._settings.point_seconds)

    def sizing(self, controls: Signature) -> Sizing:
        """Return the bounds of a batch in a launch that loads these branches."""
        known = self._sizing.get(controls)
        if known is None:
            known = self._sizing[controls] = sizing(self._traits, self._cost, controls)
        return known

    def fills(self, run_class: RunClass, controls: Signature) -> bool:
        """Whether no run fits beside one of a class, in a launch that loads these branches."""
        known = self._fills.get((run_class, controls))
        if known is None:
            known = BatchCapacity(controls, self.sizing(controls).capacity_left).full([run_class])
            self._fills[run_class, controls] = known
        return known

    def alone_seconds(self, run: ResolvedRun) -> float:
        """Predict the seconds of a launch of one run."""
        run_class = self._waiting.run_class(run)
        known = self._alone_seconds.get(run_class)
        if known is None:
            cost, work = self._cost, run_class.work
            load = cost.load_seconds(len(run_class.signature))
            known = load + cost.overhead_seconds(work.steps) + cost.run_seconds(work)
            self._alone_seconds[run_class] = known
        return known

    def launches(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        """Plan runs as launches in order. Runs that have crashed a worker are alone."""
        entries = self._waiting.entries
        alone = [run for run in runs if entries[run.id].crashes]
        together = [run for run in runs if not entries[run.id].crashes] if alone else runs
        found = self._planned(together)
        for run in alone:
            found += [_alone(each) for each in self._planned([run])]
        return found

    def may_unite(self, entries: Iterable[QueueEntry], launches: LaunchQueue) -> bool:
        """Whether a plan of all runs may have launches that load the branches of several kinds.

        `entries`: of the runs that are not planned; `launches`: those that are planned.
        """
        if launches.mixed:
            return True
        controls: dict[Key, Signature] = {}
        for run in self._waiting.runs([entry.id for entry in entries]):
            each = self._waiting.run_class(run)
            planned = launches.controls(each.launch_key) or each.signature
            if controls.setdefault(each.launch_key, planned) != each.signature:
                return True
        return False

    def has_room(self, planned: PlannedLaunch) -> bool:
        """Whether the last batch of a launch can take another run like its last one."""
        batch = planned.launch.batches[-1]
        if len(batch.runs) == 1:
            known = self._lone.get(self._class_and_level(batch.runs[0]))
            if known is not None:
                return known.room
        limit = self._costs.max_runs(batch.shape)
        if limit is not None and len(batch.runs) >= limit:
            return False
        load, classes = Load(), [self._waiting.run_class(run) for run in batch.runs]
        for run_class in classes:
            load.add(run_class, 1)
        return self.sizing(planned.launch.controls).capacity_left(classes[-1], load) > 0

    def fills_alone(self, run: ResolvedRun) -> bool:
        """Whether a run is known to fill a batch alone."""
        known = self._lone.get(self._class_and_level(run))
        return known is not None and not known.room

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        """Predict the seconds of a batch of these runs."""
        return self._cost.batch_seconds(features([self._waiting.run_class(run).work for run in runs], branches=0))

    def part(self, launch: Launch, ids: Set[str]) -> Launch:
        """Return the launch with these of its runs alone."""
        batches = []
        for batch in launch.batches:
            left = [run for run in batch.runs if run.id in ids]
            if len(left) == len(batch.runs):
                batches.append(batch)
            elif left:
                batches.append(batch.take(left, self.batch_seconds))
        whole = len(batches) == len(launch.batches) and all(map(is_, batches, launch.batches))
        return launch if whole else replace(launch, batches=tuple(batches))

    def _class_and_level(self, run: ResolvedRun) -> tuple[RunClass, Priority]:
        return self._waiting.run_class(run), Priority.level(run.priority)

    def _planned(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        if not runs:
            return []
        if len(runs) > 1:
            return self._planned_together(runs)
        (run,) = runs
        of_run = self._class_and_level(run)
        known = self._lone.get(of_run)
        if known is not None:
            return [self._lone_launch(known, run)]
        found = self._planned_together(runs)
        if len(found) == 1:
            self._lone[of_run] = _LoneLaunch(found[0].launch, self.has_room(found[0]))
        return found

    def _lone_launch(self, known: _LoneLaunch, run: ResolvedRun) -> PlannedLaunch:
        launch = known.launch
        like = launch.batches[0]
        batch = Batch((run,), like.shape, like.seconds, like.bytes)
        made = Launch(launch.index, launch.controls, (batch,), launch.load_seconds, launch.reason, launch.key)
        return PlannedLaunch(self.rank_of(run.id), made)

    def separate_launches(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        """Plan runs whose kinds have no launch in common.

        A run of a class whose launch has no room for another is alone anyway, so only the others are planned.
        """
        found, together = [], []
        for run in runs:
            known = self._lone.get(self._class_and_level(run))
            if known is not None and not known.room and not self._waiting.entries[run.id].crashes:
                found.append(self._lone_launch(known, run))
            else:
                together.append(run)
        for run in together:
            if self._class_and_level(run) not in self._lone:
                self._planned([run])  # so that its class is known from now on
        return found + self.launches([run for run in together if run.id in self._waiting.entries])

    def _planned_together(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        try:
            plan = plan_runs(runs, self._traits, self._cost, facts=self._waiting.facts)
        except PlanError:
            return self._planned(self._without_refused(runs))
        fitting = replace(plan, launches=tuple(self._fitting(launch) for launch in plan.launches))
        return order_launches(fitting, self.rank_of, self._traits.steppable, self._settings.longest_launch)

    def _fitting(self, launch: Launch) -> Launch:
        """Return the launch with batches no larger than what is known to fit."""
        batches = [part for batch in launch.batches for part in self._parts(batch)]
        return launch if len(batches) == len(launch.batches) else replace(launch, batches=tuple(batches))

    def _parts(self, batch: Batch) -> Sequence[Batch]:
        limit = self._costs.max_runs(batch.shape)
        return batch.split(limit, self.batch_seconds) if limit and len(batch.runs) > limit else (batch,)

    def _without_refused(self, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """Return the runs that the engine can make; the others are refused."""
        refused = refusals_by_run(runs, self._traits, self._waiting.facts)
        for run_id, problems in refused.items():
            self.refused[run_id] = "; ".join(str(problem) for problem in problems)
            self._waiting.forget(run_id)
        return [run for run in runs if run.id not in refused]


def _alone(planned: PlannedLaunch) -> PlannedLaunch:
    reason = f"alone, since a worker crashed while executing it: {planned.launch.reason}"
    return PlannedLaunch(planned.rank, replace(planned.launch, reason=reason))


def first_run(planned: PlannedLaunch) -> str:
    """The id of a launch's first run."""
    return planned.launch.batches[0].runs[0].id


def plan_order(entry: QueueEntry) -> tuple[int, float, str]:
    """Sort key of runs that are planned together: priority, then submission."""
    return -entry.priority, entry.created, entry.id
