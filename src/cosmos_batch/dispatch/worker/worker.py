"""A service's worker: it takes what waits in the ledger, as long as there is a service.

One round: look at the queue, choose a launch, execute it. What a worker holds is leased, so whatever becomes of
it, nothing is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum

from cosmos_batch.dispatch.execution.attempts import CheckOutput, DispatchContext, check_thread
from cosmos_batch.dispatch.execution.launch import LaunchExecutor
from cosmos_batch.dispatch.execution.leases import Leases
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.observe.service_events import ServiceEvents
from cosmos_batch.dispatch.output.directory import OutputDirectory, discard
from cosmos_batch.dispatch.output.provenance import InputDigests
from cosmos_batch.dispatch.scheduler.between_steps import Conductor, alone_seconds
from cosmos_batch.dispatch.scheduler.forecast import forecast
from cosmos_batch.dispatch.scheduler.queue import PlanPace, QueueScheduler, SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken, Throttle
from cosmos_batch.dispatch.worker.heartbeat import Heartbeat
from cosmos_batch.dispatch.worker.inflight import InflightMarker, TrackedEngine
from cosmos_batch.engines.base import Engine
from cosmos_batch.errors import (
    CosmosBatchError,
    EngineError,
    EngineLostError,
    LedgerError,
    StorageError,
    UnavailableError,
)
from cosmos_batch.ledger import Ledger, Mode, WorkerState
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.resolve import leading_facts
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun


class ExitCode(IntEnum):
    """Why a worker's process ends, as its exit code."""

    STOPPED = 0  # it was told to
    AWAY = 10  # the queue is paused or drained: the device is free
    BROKEN = 11  # its engine broke: a fresh process is needed


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker is set."""

    habits: SchedulerSettings = field(default_factory=SchedulerSettings)
    settings: DispatchSettings = field(default_factory=lambda: DispatchSettings(retry_wait=5.0, guarded=True))
    poll: float = 0.1  # seconds between two looks at a queue in which nothing waits
    longest_trouble: float = 30.0  # seconds at most between two tries at a ledger or folder that does not answer
    outlook_every: float = 2.0  # seconds between two writings of what is to be done next


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """What a worker makes videos with."""

    engine: Engine
    prior: CostModel  # what is believed of its cost before anything is measured


class Worker:
    """Works for a service until it is stopped."""

    def __init__(
        self,
        machine: LoadedEngine,
        folder: OutputDirectory,
        ledger: Ledger,
        box: InflightMarker,
        name: str,
        service: WorkerSettings,
        journal: EventLog,
        check: CheckOutput,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        checks: Executor | None = None,
    ) -> None:
        """`name`: unlike that of any other worker, ever; `checks`: where outputs are opened while others are
        denoised, None: in a thread.
        """
        self._engine = TrackedEngine(machine.engine, box)
        self._machine = machine
        self._folder = folder
        self._ledger = ledger
        self._box = box
        self._name = name
        self._service = service
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        traits = machine.engine.traits
        costed_as = (machine.prior.engine, machine.prior.device)
        self._tallies = Counters()
        self._waiting = WaitingRuns(ledger, traits, clock)
        self._lessons = MeasurementLog(ledger, costed_as, traits, service.settings.max_batch, self._tallies)
        self._lessons.once_loaded = traits.steppable
        self._agenda = QueueScheduler(
            self._waiting, ledger, traits, machine.prior, self._lessons, service.habits, clock
        )
        self._tools = DispatchContext(
            folder=folder,
            ledger=ledger,
            identity=machine.engine.identity,
            costed_as=costed_as,
            digest=InputDigests(),
            shape=self._finished_shape,
            check=check,
            settings=service.settings,
            events=ServiceEvents(journal, self._tallies, self._waiting.entries, clock),
            clock=clock,
            worker=name,
            leases=Leases(),
            counters=self._tallies,
            checks=checks or check_thread(),
        )
        self._troubles = 0  # in a row
        self._state = WorkerState.STARTING
        self._since, self._busy = clock(), box.busy  # when it was last counted what the engine had done
        self._outlook_pace = PlanPace(service.outlook_every, clock)
        self._patrol_pace = Throttle(service.settings.lease / 4, clock)
        self.stop = StopToken()

    def _finished_shape(self, run: ResolvedRun) -> Shape:
        return self._machine.engine.traits.finished(run, leading_facts(run, self._waiting.facts))

    def run(self) -> ExitCode:
        """Work until told to stop, or until this process should end."""
        self._journal("started", engine=self._machine.engine.traits.name)
        self._box.ready()
        ending = self._work()
        with suppress(CosmosBatchError):
            self._tallies.write(self._ledger.measurements)
            self._ledger.workers.report(self._name, WorkerState.ENDED)
        self._tools.checks.shutdown()
        self._journal("ended", why=ending.name.lower())
        return ending

    def _work(self) -> ExitCode:
        leases, lease = self._tools.leases, self._service.settings.lease
        with Heartbeat(self._ledger, self._name, leases, lease, self._tools.events.noted):
            while not self.stop.requested:
                try:
                    if self._ledger.queue.poll().mode is not Mode.RUNNING:
                        return ExitCode.AWAY
                    self._round()
                except EngineLostError as exc:
                    self._tools.events.noted(str(exc))
                    return ExitCode.BROKEN
                except (StorageError, LedgerError, UnavailableError) as exc:
                    self._wait_for_repair(exc)
        return ExitCode.AWAY if self._paused() else ExitCode.STOPPED

    def _paused(self) -> bool:
        with suppress(LedgerError):
            return self._ledger.queue.poll().mode is not Mode.RUNNING
        return False

    def _round(self) -> None:
        """Look at the queue, choose a launch, execute it."""
        self._since, self._busy = self._clock(), self._box.busy
        self._mend()
        launch = self._choose()
        if launch is None:
            self._rest()
            return
        self._execute(launch)
        self._account()

    def _choose(self, *, going_on: bool = False) -> Launch | None:
        """Look at the queue, choose a launch; `going_on`: one that may share the session of the last."""
        self._patrol()
        pulse = self._ledger.queue.poll()
        self._agenda.refresh(pulse.latest)
        self._agenda.others = self._others()
        launch = self._agenda.next(going_on=going_on) if pulse.mode is Mode.RUNNING else None
        if launch is not None:
            self._report(WorkerState.WORKING)
        return launch

    def _others(self) -> list[float]:
        """For how many more seconds each of those is busy that take from the same queue."""
        ready = (WorkerState.STARTING, WorkerState.IDLE, WorkerState.WORKING)
        names = [
            other.id for other in self._ledger.workers.all() if other.state in ready and other.id != self._name
        ]
        busy = self._ledger.queue.remaining_seconds() if names else {}
        return [busy.get(name, 0.0) for name in names]

    def _go_on(self) -> Launch | None:
        """Choose the next launch while the files of the last are still written."""
        self._account()
        return self._choose(going_on=True)

    def _account(self) -> None:
        """Count how long the engine was at work since last time, and how long it was not."""
        now, busy = self._clock(), self._box.busy
        self._tallies.count("engine_seconds", busy - self._busy)
        self._tallies.count("idle_seconds", max(0.0, now - self._since - (busy - self._busy)))
        self._tallies.write(self._ledger.measurements)
        self._since, self._busy = now, busy

    def _execute(self, launch: Launch) -> None:
        conductor = Conductor(
            self._tools,
            self._machine.engine.traits,
            self._waiting,
            self._agenda,
            self._lessons,
            self.stop,
            self._go_on,
            self._tell,
        )
        failures = conductor.begin(launch)
        runner = LaunchExecutor(
            self._engine,
            launch,
            self._tools,
            self._lessons,
            failures,
            self.stop,
            conductor,
            lambda run: alone_seconds(self._waiting.run_class(run), self._agenda.cost),
        )
        try:
            runner.execute(lambda: None)
        except (StorageError, LedgerError, EngineLostError, UnavailableError):
            raise
        except EngineError as exc:
            self._postpone(conductor.launch or launch, str(exc))
        finally:
            conductor.end()

    def _postpone(self, launch: Launch, cause: str) -> None:
        """The engine cannot start on a launch: others get their turn, and its runs another one later."""
        settings = self._service.settings
        failed = {entry.id: entry.failures for run in launch.runs if (entry := self._waiting.entries.get(run.id))}
        wait = settings.wait_after(1 + max(failed.values(), default=0))
        self._tools.events.noted(f"a launch of {len(launch.runs)} runs cannot start: {cause}")
        self._ledger.queue.defer([run.id for run in launch.runs], cause, wait, settings.max_failures)

    def _rest(self) -> None:
        """Nothing to do just now."""
        self._report(WorkerState.IDLE)
        self._tallies.write(self._ledger.measurements)
        self._sleep(max(0.001, min(self._service.poll, self._agenda.next_in())))

    def _patrol(self) -> None:
        """Now and then, take back the runs of workers that nobody heard of for too long."""
        if self._patrol_pace.due():
            if back := self._ledger.queue.reclaim("its worker was silent for too long"):
                self._tools.events.noted(f"{len(back)} runs of silent workers wait again")
            self._patrol_pace.spent(0.0)

    def _report(self, state: WorkerState) -> None:
        """Say what this worker is at, when that changes, and what it means to do, now and then."""
        if state is self._state and not self._outlook_pace.due():
            return
        now = self._clock()
        deferred, waiting = self._agenda.deferred(now), len(self._waiting.entries)
        view = forecast(self._agenda.turns, waiting, deferred, self._agenda.flushed, now)
        self._ledger.workers.report(self._name, state, forecast=view)
        self._state = state
        self._outlook_pace.spent(self._clock() - now)

    def _tell(self) -> None:
        """While a batch is at work: plan what has gathered, and say so, now and then."""
        if self._outlook_pace.due():
            self._agenda.gather()
            self._report(WorkerState.WORKING)

    def _wait_for_repair(self, error: CosmosBatchError) -> None:
        """The ledger, the folder or what runs the engine does not answer: say so, and wait, longer every time."""
        self._troubles += 1
        self._journal("troubled", trouble=str(error), tries=self._troubles)
        self._state = WorkerState.TROUBLED
        with suppress(LedgerError):
            self._ledger.workers.report(self._name, WorkerState.TROUBLED, trouble=str(error))
        wait = min(self._service.longest_trouble, self._service.poll * 2.0 ** min(self._troubles, 20))
        until = self._clock() + wait
        while not self.stop.requested and self._clock() < until:
            self._sleep(min(0.2, wait))

    def _mend(self) -> None:
        """After trouble: see that all is well again, and let go of what was held when it began."""
        if not self._troubles:
            return
        self._folder.probe()
        self._ledger.queue.reclaim("its worker was in trouble", worker=self._name)
        for attempt in self._tools.leases.held():
            discard(self._folder.root, attempt)
            self._tools.leases.drop(attempt)
        self._journal("mended", tries=self._troubles)
        self._troubles = 0
