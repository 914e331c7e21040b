"""A simulated worker: the scheduler of a service's worker decides, and its decisions take virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cosmos_batch.dispatch.contract import (
    Admit,
    Close,
    Displace,
    Idle,
    Refuse,
    Reserved,
    Snapshot,
    Start,
    Step,
    Switch,
)
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.placement import switch_seconds
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun
from cosmos_batch.simulation.fleet.device import RunningSlot, SimulatedBatch, StepCosts
from cosmos_batch.simulation.policies import Policy
from cosmos_batch.simulation.settings import SimulationSettings

_NOTHING, _OPEN = Snapshot(), Snapshot(session_open=True)


class WorkerHost(Protocol):
    """The fleet as a worker uses it: its settings, the queue of runs, the clock."""

    @property
    def traits(self) -> Traits:
        """The engine's traits."""

    @property
    def cost(self) -> CostModel:
        """The engine's cost."""

    @property
    def step_costs(self) -> StepCosts:
        """Seconds of the steps of each kind of run."""

    @property
    def policy(self) -> Policy:
        """How runs are batched."""

    @property
    def settings(self) -> SimulationSettings:
        """Settings of the simulation."""

    def deciding(self, worker: SimulatedWorker) -> tuple[PlannedQueue, QueueScheduler]:
        """Return the queue and the scheduler of a worker's new process."""

    def at(self, when: float, worker: SimulatedWorker) -> None:
        """Let a worker go on at a time; what was planned for it before is void."""

    def slot(self, run: ResolvedRun) -> RunningSlot:
        """Return a slot for a claimed run."""

    def claim(self, worker: SimulatedWorker, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """Claim those of the runs that wait."""

    def begins(self, worker: SimulatedWorker, runs: Sequence[ResolvedRun], now: float, *, joined: bool) -> None:
        """Record that claimed runs begin."""

    def finish(self, slot: RunningSlot, now: float) -> None:
        """Record that a run has its video."""

    def refuse(self, run_id: str, now: float) -> None:
        """Record that the engine cannot make a waiting run."""

    def requeue(self, slot: RunningSlot, done: int, *, preempted: bool = False) -> None:
        """Let a run wait again, with so many denoising steps in its checkpoint."""

    def any_suspect(self, runs: Sequence[ResolvedRun]) -> bool:
        """Whether one of the runs has crashed a worker."""

    def crashed(self, worker: SimulatedWorker, broken: RunningSlot, now: float) -> None:
        """Record that a run has crashed its worker, and give the worker a new process."""

    def deviation(self) -> float:
        """Return the factor by which a batch takes longer than predicted."""

    def loads(self, worker: SimulatedWorker, seconds: float) -> None:
        """Record a load."""

    def foreseen(self, worker: SimulatedWorker, now: float) -> float:
        """Return how many seconds of a load are done, since the future is known."""

    def runs_segment(self, worker: SimulatedWorker, batch: SimulatedBatch, now: float) -> None:
        """Let a worker's batch be denoised up to the next end of a run."""

    def batch_over(self, worker: SimulatedWorker) -> None:
        """Note that a worker has no batch any more."""

    def idles(self, worker: SimulatedWorker, now: float, seconds: float) -> None:
        """Let a worker wait until something changes, or until time alone may bring work."""

    def ends_idling(self, worker: SimulatedWorker) -> None:
        """Note that a worker looks at the queue."""


class SimulatedWorker:
    """One device. Each of its turns ends with something that takes time: a load, steps, or a wait for work."""

    def __init__(self, fleet: WorkerHost, number: int) -> None:
        self.number = number
        self._fleet = fleet
        self.version = 0  # of its next event: earlier ones are void
        self.idle_since: float | None = None
        self.last_idle = 0.0  # when it was last idle from
        self.wakes = float("inf")  # when it is to look at the queue again, while it is idle
        self.alive = True
        self.begin_process()

    def begin_process(self) -> None:
        """Begin as a new process whose device holds nothing."""
        self.queue: PlannedQueue
        self.scheduler: QueueScheduler
        self.queue, self.scheduler = self._fleet.deciding(self)
        self.holds: Kind | None = None
        self.batch: SimulatedBatch | None = None
        self._session = False
        self._loading: Start | None = None
        self._reserved: list[ResolvedRun] = []
        self.busy_since: float | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for work."""
        return self.idle_since is not None

    def busy_for(self, now: float) -> float:
        """Return the seconds until the end of its segment; 0 where it is idle."""
        return max(0.0, self.batch.ends - now) if self.batch is not None else 0.0

    def turn(self, now: float) -> None:
        """Decide and act until something takes time."""
        fleet = self._fleet
        if self.idle_since is not None:
            fleet.ends_idling(self)
        self._show_device()
        while True:
            decision = self.scheduler.decide(self._snapshot())
            match decision:
                case Start():
                    if self._begin(decision, now):
                        return
                case Switch():
                    pass  # the load is a part of the start that follows
                case Step():
                    if self._step(decision, now):
                        return
                case Displace():
                    self._displace(decision)
                    self._show_device()
                case Close():
                    self._session = False
                case Refuse(reasons=reasons):
                    for run_id in reasons:
                        fleet.refuse(run_id, now)
                case Idle():
                    fleet.idles(self, now, decision.seconds)
                    return
                case _:
                    raise AssertionError(f"a queue that runs is not left: {decision}")

    def _show_device(self) -> None:
        """Let the queue, which other workers may have used since, know this device."""
        self.queue.holds(self.holds if self._fleet.traits.steppable else None)

    def _snapshot(self) -> Snapshot:
        if self.batch is None:
            return _OPEN if self._session else _NOTHING
        return Snapshot(self.batch.views(), (), True)

    # Loads

    def _begin(self, decision: Start, now: float) -> bool:
        """Claim a batch, load what the device does not hold, and start; return whether a load takes time first."""
        fleet, launch = self._fleet, decision.launch
        self._reserved = self._reserved or fleet.claim(self, launch.batches[0].runs)
        if not self._reserved:
            return False
        steppable, kind = fleet.traits.steppable, launch.kind
        holds = self.holds if steppable else None  # a script loads anew, once for all batches of a launch
        needed = not self._session or (steppable and holds != kind)
        seconds = switch_seconds(holds, kind, fleet.cost) if needed else 0.0
        self._session, self.holds = True, kind
        if seconds <= 0:
            self._start(decision, now)
            return False
        fleet.loads(self, seconds)
        self._loading = decision
        fleet.at(now + max(0.0, seconds - fleet.foreseen(self, now)), self)
        return True

    def loaded(self, now: float) -> None:
        """Start the batch for which the device was loaded."""
        decision, self._loading = self._loading, None
        assert decision is not None  # only a load is followed by this
        self._start(decision, now)
        self.turn(now)

    @property
    def loading(self) -> bool:
        """Whether it loads."""
        return self._loading is not None

    # Batches

    def _start(self, decision: Start, now: float) -> None:
        fleet, launch = self._fleet, decision.launch
        runs, self._reserved = self._reserved, []
        self.batch = SimulatedBatch(
            fleet.step_costs, fleet.traits, launch.controls, fleet.deviation(), self._closed(decision)
        )
        fleet.begins(self, runs, now, joined=False)
        for run in runs:
            self.batch.add(fleet.slot(run))

    def _closed(self, decision: Start) -> bool:
        return decision.closed or self._fleet.any_suspect(decision.launch.batches[0].runs)

    def _step(self, decision: Step, now: float) -> bool:
        """Let runs join, and begin the next segment."""
        batch = self.batch
        assert batch is not None  # a step is decided while runs are running
        for admit in decision.admit:
            if self._admit(admit, batch, now) < len(admit.runs):
                break
        self._fleet.runs_segment(self, batch, now)
        return True

    def _admit(self, admit: Admit, batch: SimulatedBatch, now: float) -> int:
        fleet = self._fleet
        runs = fleet.claim(self, admit.runs)
        if runs:
            for run_id in admit.preempt:
                slot = batch.slots.pop(run_id)
                fleet.requeue(slot, slot.done, preempted=True)
            fleet.begins(self, runs, now, joined=True)
            for run in runs:
                batch.add(fleet.slot(run))
        return len(runs)

    def _displace(self, decision: Displace) -> None:
        fleet = self._fleet
        runs = fleet.claim(self, decision.batch.runs)
        if not runs:
            return
        self._reserved = runs
        batch, self.batch = self.batch, None
        assert batch is not None
        for slot in batch.slots.values():
            fleet.requeue(slot, slot.done, preempted=True)
        fleet.batch_over(self)
        self.scheduler.observe(Reserved(decision.batch.take(runs)))

    def segment_over(self, now: float) -> None:
        """Go on after the steps of a segment."""
        batch = self.batch
        assert batch is not None
        ended, broken = batch.end_segment()
        if broken is not None:
            self._fleet.crashed(self, broken, now)
            return
        for slot in ended:
            self._fleet.finish(slot, now)
        if not batch.slots:
            self.batch = None
            self._fleet.batch_over(self)
        self.turn(now)

    def interrupt(self, now: float) -> None:
        """Decide again after the step that is being done."""
        if self.batch is not None and self._loading is None:
            until = self.batch.cut(now)
            if until is not None:
                self._fleet.at(until, self)

    def takes(self, run_class: RunClass) -> bool:
        """Whether a run of a class may join its batch."""
        return self.batch is not None and self.batch.takes(run_class, self._fleet.policy.max_runs)

    def stop(self, now: float, *, saved: bool) -> list[tuple[RunningSlot, int]]:
        """End the process; return its runs, each with the steps of its checkpoint.

        `saved`: every run is saved now; else its latest checkpoint counts.
        """
        batch, every = self.batch, self._fleet.settings.save_every
        found = []
        if batch is not None:
            for slot in batch.slots.values():
                kept = batch.saved(slot, now, every)
                slot.done += batch.steps_done(now)
                found.append((slot, slot.done if saved else kept))
        found += [(self._fleet.slot(run), self._fleet.slot(run).done) for run in self._reserved]
        self.version += 1
        self.batch, self._loading, self._reserved, self._session = None, None, [], False
        return found
