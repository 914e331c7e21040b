"""A queue in memory, and an execution on paper: they drive a scheduler without engine, thread or database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cosmos_batch.dispatch.contract import (
    Action,
    Close,
    Decision,
    Displace,
    Done,
    Idle,
    LaunchFailed,
    Outcome,
    Preload,
    Refuse,
    Reserved,
    SlotView,
    Snapshot,
    Start,
    Step,
    Suspend,
    Switch,
)
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.ports import OtherWorkers, PredictionSource
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.errors import EngineError
from cosmos_batch.ledger import Mode
from cosmos_batch.ledger.models import QueueChanges, QueueEntry, QueuePoll, Request
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import Control, ControlName, ResolvedRun
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS, make_run

VIDEO = "/in/a.mp4"


def queued_run(
    run_id: str, *, steps: int = 4, priority: int = 0, controls: str = "edge", size: int = 32
) -> ResolvedRun:
    """Make a run over a video that exists on paper alone."""
    names: list[ControlName] = controls.split("+")  # type: ignore[assignment]
    made = make_run(run_id, Path(VIDEO), prompt=f"street {run_id}", steps=steps)
    active = tuple(Control(name=name, weight=1.0, video=VIDEO) for name in names)
    sampling = replace(made.sampling, resolution=f"{size}x{size}")
    return replace(made, priority=priority, controls=active, sampling=sampling)


@dataclass
class MemoryQueue:
    """The queue of a service, as a worker reads it."""

    now: float = 1_000_000.0
    mode: Mode = Mode.RUNNING
    others: list[float] = field(default_factory=list)
    idle: dict[str, int] = field(default_factory=dict)
    limits: dict[Shape, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    waiting: dict[str, QueueEntry] = field(default_factory=dict)
    known: dict[str, ResolvedRun] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    _changes: list[str] = field(default_factory=list)  # ids of runs, in the order in which they changed

    def put(self, run: ResolvedRun, *, crashes: int = 0, not_before: float = 0.0) -> None:
        """Let a run wait."""
        self.known[run.id] = run
        crashes = self.crashes.setdefault(run.id, crashes)
        self.waiting[run.id] = QueueEntry(run.id, run.fingerprint, run.priority, self.now, not_before, 0, crashes)
        self._changes.append(run.id)

    def reprioritise(self, run_id: str, priority: int) -> None:
        """Change the priority of a waiting run."""
        self.waiting[run_id] = self.waiting[run_id]._replace(priority=priority)
        self._changes.append(run_id)

    def take(self, run_ids: Sequence[str]) -> list[ResolvedRun]:
        """Claim those of the runs that wait."""
        taken = [run_id for run_id in run_ids if self.waiting.pop(run_id, None) is not None]
        self._changes += taken
        return [self.known[run_id] for run_id in taken]

    def cancel(self, run_id: str) -> None:
        """Ask for a running run to be cancelled."""
        self.cancelled.append(run_id)
        self._changes.append(run_id)

    def poll(self) -> QueuePoll:
        """Return the number of the latest change."""
        return QueuePoll(len(self._changes), self.mode)

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes after that one."""
        ids = set(self.known if after is None else self._changes[after:])
        waiting = [self.waiting[run_id] for run_id in sorted(ids) if run_id in self.waiting]
        return QueueChanges(len(self._changes), waiting, sorted(ids - self.waiting.keys()))

    def requests(self, ids: Sequence[str]) -> list[Request]:
        """Return what was asked for."""
        return [
            Request(run_id, self.known[run_id].fingerprint, self.known[run_id], {VIDEO: FACTS})
            for run_id in ids
            if run_id in self.known
        ]

    def cancel_requests(self) -> list[str]:
        """Return the runs that are to be cancelled."""
        return self.cancelled

    def other_workers(self) -> OtherWorkers:
        """Return how busy other workers are."""
        return OtherWorkers(self.others, self.idle)

    def refit(self) -> CostModel:
        """Return the prior: nothing was measured."""
        return PRIOR

    def max_runs(self, shape: Shape) -> int | None:
        """Return the limit of a shape."""
        return self.limits.get(shape)

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def scheduler(
        self,
        traits: Traits = TRAITS,
        settings: SchedulerSettings | None = None,
        predictions: PredictionSource | None = None,
    ) -> QueueScheduler:
        """Make a scheduler for a worker of this queue."""
        runs = WaitingRuns(self, traits, self.clock)
        queue = PlannedQueue(runs, traits, PRIOR, self, settings or SchedulerSettings(), self.clock, predictions)
        return QueueScheduler(self, queue, runs, self, traits, 0.1, self.clock)


@dataclass
class PaperExecution:
    """Applies decisions at once, without an engine. A step takes a second."""

    queue: MemoryQueue
    lag: int = 0  # steps for which a denoised run is finishing
    running: dict[str, SlotView] = field(default_factory=dict)
    finishing: dict[str, int] = field(default_factory=dict)  # steps left
    loaded: tuple[str, ...] | None = None  # branches of the open session
    preload_fails: bool = False  # nothing can be loaded ahead of runs
    done: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    batches: list[tuple[str, ...]] = field(default_factory=list)  # runs at every step
    reserved: list[ResolvedRun] = field(default_factory=list)  # claimed, and started next
    displaced: list[tuple[str, ...]] = field(
        default_factory=list
    )  # runs that made way, each time for one batch or run

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        return Snapshot(tuple(self.running.values()), tuple(self.finishing), self.loaded is not None)

    def drive(self, scheduler: QueueScheduler, turns: int) -> Iterator[Decision]:
        """Let the scheduler decide, and apply each decision after it was looked at."""
        for _ in range(turns):
            decision = scheduler.decide(self.snapshot())
            self.decisions.append(decision)
            yield decision
            if isinstance(decision, Done):
                return
            for outcome in self.apply(decision):
                scheduler.observe(outcome)

    def apply(self, decision: Action) -> list[Outcome]:
        """Apply a decision; return the outcomes that a scheduler has to observe."""
        match decision:
            case Start(launch=launch):
                self.loaded = self.loaded or launch.controls
                reserved, self.reserved = self.reserved, []
                self._join(reserved or self.queue.take([run.id for run in launch.batches[0].runs]))
            case Displace(batch=batch):
                if self._displace([run.id for run in batch.runs]):
                    return [Reserved(batch.take(self.reserved))]
            case Switch(launch=launch):
                self.loaded = launch.controls
            case Step():
                self._step(decision)
            case Suspend():
                for run_id in list(self.running):
                    self._put_back(run_id)
            case Close():
                self.done += self.finishing
                self.finishing.clear()
                self.loaded = None
            case Refuse(reasons=reasons):
                self.queue.take(list(reasons))
            case Preload(launch=launch):
                return [LaunchFailed(launch, EngineError("no memory"), 0)] if self.preload_fails else []
            case Idle(seconds=seconds):
                self.queue.now += max(seconds, 0.01)
        return []

    def _displace(self, run_ids: Sequence[str]) -> bool:
        """Claim runs, and put the running ones back for them; return whether any was claimed."""
        self.reserved = self.queue.take(run_ids)
        if self.reserved:
            self.displaced.append(tuple(self.running))
            for run_id in list(self.running):
                self._put_back(run_id)
        return bool(self.reserved)

    def _step(self, step: Step) -> None:
        for run_id in step.cancel:
            del self.running[run_id]
        for admit in step.admit:
            joining = self.queue.take([run.id for run in admit.runs])
            if joining and admit.preempt:
                self.displaced.append(admit.preempt)
                for run_id in admit.preempt:
                    self._put_back(run_id)
            self._join(joining)
            if len(joining) < len(admit.runs):
                break
        if not self.running:
            return
        self.queue.now += 1.0
        self.batches.append(tuple(self.running))
        self.finishing = {run_id: left - 1 for run_id, left in self.finishing.items()}
        self.done += [run_id for run_id, left in self.finishing.items() if left < 0]
        self.finishing = {run_id: left for run_id, left in self.finishing.items() if left >= 0}
        for run_id, slot in list(self.running.items()):
            self.running[run_id] = slot._replace(step=slot.step + 1)
            if slot.step + 1 == slot.steps:
                del self.running[run_id]
                self.finishing[run_id] = self.lag

    def _join(self, runs: Sequence[ResolvedRun]) -> None:
        for run in runs:
            self.running[run.id] = SlotView(run, 1, 0, run.sampling.num_steps)

    def _put_back(self, run_id: str) -> None:
        self.queue.put(self.running.pop(run_id).run)
