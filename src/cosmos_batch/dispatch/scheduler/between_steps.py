"""Decisions between two denoising steps of a service's batch: which runs are cancelled, preempted or admitted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile
from math import inf

from cosmos_batch.dispatch.contract import Admit, PredictedCost, SlotView, Step
from cosmos_batch.dispatch.scheduler.launch_cursor import MaxRuns
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.policies.admission import AdmissionDecision, BatchCapacity, Join, RunningRun, admit
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun, Signature


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """The running batch, as far as admission needs it."""

    shape: Shape
    controls: Signature  # whose branches are loaded
    closed: bool  # it admits no run


@dataclass(slots=True)
class KnownRuns:
    """Entries and classes of runs from when they waited: the ledger's queue lists no running runs."""

    runs: dict[str, tuple[QueueEntry, RunClass]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)  # failed attempts so far
    suspects: set[str] = field(default_factory=set)  # runs that crashed a worker and must be alone

    def add(self, runs: Iterable[ResolvedRun], waiting: WaitingRuns) -> None:
        """Keep what is known of waiting runs that are about to be claimed."""
        for run in runs:
            entry = waiting.entries[run.id]
            self.failures[run.id] = entry.failures
            self.runs[run.id] = entry, waiting.run_class(run)
            if entry.crashes:
                self.suspects.add(run.id)


class StepDecisions:
    """Decides the steps of one batch. It remembers what it has decided on, so that most steps cost no thought."""

    __slots__ = (
        "_batch",
        "_clock",
        "_considered",
        "_due",
        "_known",
        "_max_runs",
        "_prefetched",
        "_queue",
        "_waiting",
        "displace",
    )

    def __init__(
        self,
        batch: BatchInfo,
        known: KnownRuns,
        queue: PlannedQueue,
        waiting: WaitingRuns,
        max_runs: MaxRuns,
        clock: Callable[[], float],
    ) -> None:
        self._batch = batch
        self._max_runs = max_runs
        self._known = known
        self._queue = queue
        self._waiting = waiting
        self._clock = clock
        self._considered: frozenset[str] = frozenset()  # the batch's runs when admission was last decided
        self._due = inf  # when a deferred run may begin
        self._prefetched: tuple[ResolvedRun, ...] = ()
        self.displace = False  # an urgent run waits that the latest step does not admit, and the batch makes way

    def step(
        self, running: Sequence[SlotView], cancel: Collection[str], *, changed: bool, admitting: bool
    ) -> Step:
        """Decide the next step.

        `cancel`: runs to be taken out; `changed`: the queue has changed since the last step; `admitting`: the
        queue is running, so that runs may join and be prefetched.
        """
        staying = [slot for slot in running if slot.run_id not in cancel] if cancel else running
        decision = self._admission(staying, changed) if admitting and staying else AdmissionDecision()
        self.displace = decision.displace
        prefetch = self._prefetch() if admitting else None
        certain = not self._queue.others.busy
        return Step(tuple(cancel), self._admit(decision.joins) if decision.joins else (), prefetch, certain)

    def without_preemption(self, step: Step) -> Step:
        """Return a step for which no run makes way; who makes way is decided again at the next step."""
        self._considered = frozenset()
        self.displace = False
        return replace(step, admit=tuple(takewhile(lambda admit: not admit.preempt, step.admit)))

    def _admission(self, staying: Sequence[SlotView], changed: bool) -> AdmissionDecision:
        ids = frozenset([slot.run.id for slot in staying])
        now = self._clock()
        if not (changed or ids != self._considered or now >= self._due):
            return AdmissionDecision()
        decision = self._decide(staying)
        if decision.joins:
            leaving = {run_id for join in decision.joins for run_id in join.preempt}
            ids = (ids - leaving) | {join.id for join in decision.joins}
        self._considered = frozenset() if decision.displace else ids
        self._due = min([entry.not_before for entry in self._queue.deferred(now)], default=inf)
        return decision

    def _decide(self, staying: Sequence[SlotView]) -> AdmissionDecision:
        batch, planner, urgent = self._batch, self._queue.planner, self._queue.urgent_waits
        classes = [self._known.runs[slot.run.id][1] for slot in staying]
        if not urgent and len(classes) == 1 and planner.fills(classes[0], batch.controls):
            return AdmissionDecision()
        bounds = planner.sizing(batch.controls)
        capacity = BatchCapacity(batch.controls, bounds.capacity_left, self._max_runs(batch.shape), batch.closed)
        if not urgent and capacity.full(classes):
            return AdmissionDecision()
        return admit([self._running(slot) for slot in staying], self._queue.candidates(), capacity)

    def _running(self, slot: SlotView) -> RunningRun:
        entry, run_class = self._known.runs[slot.run_id]
        left = max(slot.steps - slot.step, 0)
        return RunningRun(
            slot.run_id, run_class, self._queue.planner.rank_of_entry(entry), slot.run.priority, left
        )

    def _admit(self, joins: Sequence[Join]) -> tuple[Admit, ...]:
        """Return the admissions in order: one of each run that others make way for, the others together."""
        runs = {run.id: run for run in self._waiting.runs([join.id for join in joins])}
        self._known.add(runs.values(), self._waiting)
        found: list[Admit] = []
        for preempts, members in groupby((join for join in joins if join.id in runs), lambda join: join.preempt):
            together = [runs[join.id] for join in members]
            parts = [[run] for run in together] if preempts else [together]
            found += [self._admission_of(part, preempts) for part in parts]
        return tuple(found)

    def _admission_of(self, runs: Sequence[ResolvedRun], preempt: tuple[str, ...]) -> Admit:
        cost = self._queue.cost
        seconds = sum(cost.run_seconds(self._waiting.run_class(run).work) for run in runs)
        alone = {run.id: self._queue.planner.alone_seconds(run) for run in runs}
        failures = {run.id: self._known.failures[run.id] for run in runs}
        return Admit(tuple(runs), PredictedCost(seconds, 0, alone), failures, preempt)

    def _prefetch(self) -> tuple[ResolvedRun, ...] | None:
        """Return the runs to prefetch where they have changed. None beside a run that must be alone."""
        upcoming = () if self._batch.closed else self._queue.upcoming()
        if upcoming == self._prefetched:
            return None
        self._prefetched = upcoming
        return upcoming
