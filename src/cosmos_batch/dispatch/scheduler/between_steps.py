"""Between two steps of a service's batch: the queue is asked, runs join, are set aside and dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.dispatch.execution.attempts import AttemptRecorder, DispatchContext
from cosmos_batch.dispatch.execution.batch import RunningBatch
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.execution.slot import Slot
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import StopToken
from cosmos_batch.engines.base import Session
from cosmos_batch.ledger import BatchFacts, Mode
from cosmos_batch.planning.batch_size import sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.policies.admission import AdmissionDecision, BatchCapacity, RunningRun, admit
from cosmos_batch.planning.policies.priority import Rank, rank
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import ResolvedRun, Signature

Choose = Callable[[], Launch | None]
"""The launch that comes next, where it may go on in the session of the last."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """The batch at work."""

    number: int
    shape: Shape
    controls: Signature  # whose branches are loaded
    recorder: AttemptRecorder
    closed: bool  # nobody may join it


class Conductor:
    """The attendant of a worker's batches."""

    def __init__(
        self,
        tools: DispatchContext,
        traits: Traits,
        waiting: WaitingRuns,
        agenda: QueueScheduler,
        lessons: MeasurementLog,
        stop: StopToken,
        choose: Choose,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """`stop` is set when the queue is paused; `choose` gives the next launch; `tell`, called between steps,
        says what is to be done next.
        """
        self._tools = tools
        self._traits = traits
        self._waiting = waiting
        self._agenda = agenda
        self._lessons = lessons
        self._stop = stop
        self._choose = choose
        self._tell = tell
        self.launch: Launch | None = None  # at work
        self._scene: _Scene | None = None
        self._ranks: dict[str, tuple[Rank, RunClass]] = {}  # of the runs aboard
        self._failures: dict[str, int] = {}  # of their attempts so far
        self._suspects: set[str] = set()  # those of them that must be alone
        self._company: frozenset[str] = frozenset()  # when it was last thought about who may join
        self._ahead: tuple[ResolvedRun, ...] = ()  # whom the session was last told to expect
        self._due = float("inf")  # when a run that was held back then may begin

    def begin(self, launch: Launch) -> Mapping[str, int]:
        """Its runs are about to be claimed: keep what is known of them as waiting runs. Returns how many attempts
        each has made fail so far.
        """
        self.launch = launch
        self._ranks, self._suspects, self._failures = {}, set(), {}
        for run in launch.runs:
            self._remember(run)
        return dict(self._failures)

    def end(self) -> None:
        """A launch is over; those of its runs that still wait gather again."""
        if self.launch is not None:
            self._agenda.over(self.launch)
            self.launch = None

    def further(self) -> tuple[Launch, Mapping[str, int]] | None:
        """The launch that comes next, where it may go on in the session of the last.

        None shares that of a run that must be alone: nobody is to be aboard while its files are written.
        """
        if not self._traits.steppable or self._suspects:
            return None
        self.end()
        launch = self._choose()
        return None if launch is None else (launch, self.begin(launch))

    def _remember(self, run: ResolvedRun) -> None:
        entry = self._waiting.entries[run.id]
        self._failures[run.id] = entry.failures
        if entry.crashes:
            self._suspects.add(run.id)
        point = self._agenda.point_seconds
        self._ranks[run.id] = rank(run.priority, entry.created, point), self._waiting.run_class(run)

    def attend(
        self, batch: Batch, number: int, controls: Signature, recorder: AttemptRecorder, closed: bool
    ) -> None:
        """A batch begins. `closed`: nobody may join it; nor one whose run must be alone."""
        alone = any(run.id in self._suspects for run in batch.runs)
        self._scene = _Scene(number, batch.shape, controls, recorder, closed or alone)
        self._company = frozenset()
        self._ahead = ()

    def foresee(self, session: Session, runs: Sequence[ResolvedRun]) -> None:
        """Tell a session of the runs that join it now, and of those that are likely to be next: what has been read
        of these is to stay. Nobody is expected beside a run that must be alone.
        """
        ahead = self._agenda.upcoming() if self._traits.steppable and not self._suspects else ()
        session.prefetch([*runs, *ahead], certain=not self._agenda.others)

    def between(self, flight: RunningBatch) -> None:
        """Heed what the queue says. Of an engine that cannot step, only cancelled runs are taken out."""
        pulse = self._tools.ledger.queue.poll()
        changed = self._agenda.refresh(pulse.latest)
        self._drop(flight, changed)
        self._tell()
        if not self._traits.steppable:
            return
        if pulse.mode is Mode.PAUSED:
            self._stop.reason, self._stop.requested = "the queue is paused", True
            return
        company = frozenset(seat.id for seat in flight.running)
        now = self._tools.clock()
        if pulse.mode is Mode.RUNNING and company and (changed or company != self._company or now >= self._due):
            self._let_in(flight)
            self._company = frozenset(seat.id for seat in flight.running)
            self._due = min((entry.not_before for entry in self._agenda.deferred(now)), default=float("inf"))
        if pulse.mode is Mode.RUNNING:
            self._look_ahead(flight)

    def _look_ahead(self, flight: RunningBatch) -> None:
        """Tell the session who comes next. Nobody is expected while a run is at work that must be alone."""
        assert self._scene is not None
        ahead = () if self._scene.closed else self._agenda.upcoming()
        if ahead != self._ahead:
            flight.prefetch(ahead, certain=not self._agenda.others)
            self._ahead = ahead

    def _drop(self, flight: RunningBatch, changed: bool) -> None:
        lost = self._tools.leases.lost
        wished = set(self._tools.ledger.queue.cancel_requests()) if changed else set()
        for seat in flight.running:
            if seat.attempt in lost or seat.id in wished:
                flight.drop(seat.id, "cancelled")

    def _let_in(self, flight: RunningBatch) -> None:
        scene = self._scene
        assert scene is not None
        bounds = sizing(self._traits, self._agenda.cost, scene.controls)
        cabin = BatchCapacity(
            scene.controls, bounds.capacity_left, self._lessons.max_runs(scene.shape), scene.closed
        )
        verdict = admit([self._aboard(seat) for seat in flight.running], self._agenda.candidates(), cabin)
        self._carry_out(verdict, flight, scene)

    def _aboard(self, seat: Slot) -> RunningRun:
        ranked, kind = self._ranks[seat.id]
        return RunningRun(seat.id, kind, ranked, seat.job.run.priority, max(seat.steps - seat.step, 0))

    def _carry_out(self, verdict: AdmissionDecision, flight: RunningBatch, scene: _Scene) -> None:
        for run_id in verdict.preempt:
            self._tools.counters.count("preemptions")
            flight.preempt(run_id, "set aside for an urgent run")
        if not verdict.join:
            return
        runs = self._waiting.runs(verdict.join)
        for run in runs:
            self._remember(run)
        self._claim(runs, flight, scene)

    def _claim(self, runs: list[ResolvedRun], flight: RunningBatch, scene: _Scene) -> None:
        tools = self._tools
        cost = self._agenda.cost
        kinds = {run.id: self._ranks[run.id][1] for run in runs}
        seconds = sum(cost.run_seconds(kind.work) for kind in kinds.values())
        facts = BatchFacts(
            tools.identity["engine"],
            scene.shape,
            seconds,
            0,
            {run_id: alone_seconds(kind, cost) for run_id, kind in kinds.items()},
        )
        claim = tools.ledger.queue.claim(list(kinds), facts, tools.worker, tools.settings.lease, scene.number)
        if claim is None:
            return
        taken = [run for run in runs if run.id in claim.attempts]
        scene.recorder.know({run.id: self._failures[run.id] for run in taken})
        seats = [seat for run in taken if (seat := scene.recorder.place(run, claim.attempts[run.id]))]
        tools.ledger.attempts.begin([seat.id for seat in seats])
        tools.events.began(scene.number, [seat.id for seat in seats])
        tools.counters.count("joins", len(seats))
        flight.admit(seats)


def alone_seconds(kind: RunClass, cost: CostModel) -> float:
    """Predicted seconds of a run in a launch of its own."""
    launch = cost.load_seconds(len(kind.signature)) + cost.overhead_seconds(kind.work.steps)
    return launch + cost.run_seconds(kind.work)
