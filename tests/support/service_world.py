"""A service on a virtual clock: runs arrive, are cancelled and become urgent while the simulated engine works."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from cosmos_batch.controls import ControlName
from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.execution.context import CheckOutput
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.worker import LoadedEngine, Worker, WorkerPlace, WorkerSettings, WorkerTime
from cosmos_batch.engines.base import Engine, Job, Session
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine
from cosmos_batch.engines.wrappers import EngineWrapper, SessionWrapper
from cosmos_batch.errors import EngineError, OutputError
from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import Control, Priority, ResolvedRun, Run
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS, AtOnce, make_run

STEP = 1.0  # virtual seconds
LONGEST = 500.0  # virtual seconds that no test takes


def stamp(job: Job, _shape: Shape) -> None:
    """A cheap stand-in for a video: it says whose it is."""
    (job.folder / "output.mp4").write_text(job.run.fingerprint)


def check_stamp(run: Run, _shape: Shape, job: Job) -> None:
    """Refuse what is not the run's own."""
    if (job.folder / "output.mp4").read_text() != run.fingerprint:
        raise OutputError("another run's")


class EventClock:
    """Time that passes at once, and brings what was planned for it."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> float:
        """Seconds."""
        return self.time

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something happen so many seconds after the beginning."""
        self._events.append((1_000_000.0 + seconds, len(self._events), action))
        self._events.sort(key=lambda event: event[:2])

    def sleep(self, seconds: float) -> None:
        """Let time pass, and what was planned happen on the way."""
        until = self.time + seconds
        if until > 1_000_000 + LONGEST:
            pytest.fail("it gets nowhere")  # no Exception, so nothing on the way takes it for a fault
        while self._events and self._events[0][0] <= until:
            when, _, action = self._events.pop(0)
            self.time = max(self.time, when)
            action()
        self.time = max(self.time, until)

    @property
    def ahead(self) -> bool:
        """Whether something is still to happen."""
        return bool(self._events)


@dataclass
class World:
    """A service's folder, ledger and clock."""

    root: Path
    place: Path | URL | None = None  # of the ledger; None: a file in the folder
    clock: EventClock = field(default_factory=EventClock)
    scheduling: SchedulerSettings = field(
        default_factory=lambda: SchedulerSettings(rules=FlushRules(seconds=20, runs=32, quiet=1))
    )
    settings: DispatchSettings = field(
        default_factory=lambda: DispatchSettings(save_every=0, retry_wait=5, guarded=True)
    )
    traits: Traits = TRAITS
    faults: Mapping[str, Fault] = field(default_factory=dict)
    most: int | None = None
    lag: int = 0
    forecast_every: float = 5.0
    prior: CostModel = PRIOR
    check: CheckOutput = check_stamp
    step_seconds: Callable[[int], float] = lambda _runs: STEP

    def __post_init__(self) -> None:
        self.video = self.root / "in.mp4"
        self.root.mkdir(exist_ok=True)
        self.video.write_bytes(b"input")
        self.home = ServiceHome(self.root / "home")
        self.home.make()
        with OutputDirectory(self.home.videos):
            pass  # as the supervisor does, which then leaves it to the workers
        self.ledger = Ledger(self.place or self.home.ledger, self.clock.now)
        self.log = io.StringIO()
        self.workers = 0

    def run(
        self, run_id: str, *, steps: int = 4, priority: int = Priority.NORMAL, controls: str = "edge"
    ) -> ResolvedRun:
        """A resolved run."""
        names: list[ControlName] = controls.split("+")  # type: ignore[assignment]
        made = make_run(run_id, self.video, prompt=f"street {run_id}", steps=steps)
        active = tuple(Control(name=name, weight=1.0, video=str(self.video)) for name in names)
        return replace(made, priority=priority, controls=active)

    def submit(self, *runs: ResolvedRun) -> None:
        """Take runs in now."""
        self.ledger.runs.accept([Submission(run, {str(self.video): FACTS}) for run in runs])

    def arrive(self, seconds: float, *runs: ResolvedRun) -> None:
        """Take runs in so many seconds after the beginning."""
        self.clock.at(seconds, lambda: self.submit(*runs))

    def engine(self) -> Engine:
        """A replay engine that acts as the world says."""
        script = SimulatedBehaviour(stamp, 0.0, self.step_seconds, self.most, self.lag, self.faults)
        return SimulatedEngine(self.traits, script, self.clock)

    def worker(self, engine: Engine | None = None) -> Worker:
        """A new worker; it stops when nothing waits and nothing is to come."""
        self.workers += 1
        name = f"worker{self.workers}"
        settings = WorkerSettings(self.scheduling, self.settings, poll=0.25, forecast_every=self.forecast_every)
        folder = OutputDirectory(self.home.videos, shared=True)
        log = EventLog(self.log, self.clock.now, worker=name)
        marker = InflightMarker(self.home.marker(0), name, self.clock.now)
        made = Worker(
            LoadedEngine(engine or self.engine(), self.prior),
            WorkerPlace(name, folder, self.ledger, marker, log),
            settings,
            self.check,
            WorkerTime(self.clock.now, lambda seconds: self._rest(made, seconds)),
            AtOnce(),
        )
        return made

    def _rest(self, worker: Worker, seconds: float) -> None:
        self.clock.sleep(seconds)
        done = {State.SUCCEEDED, State.FAILED, State.BLOCKED, State.CANCELLED}
        if not self.clock.ahead and set(self.ledger.queries.states()) <= done:
            worker.stop.request()

    def serve(self, engine: Engine | None = None) -> list[ExitCode]:
        """Work until nothing is left to do, with a fresh worker whenever one asks for it."""
        endings = []
        while True:
            endings.append(self.worker(engine).run())
            if endings[-1] is not ExitCode.BROKEN:
                return endings

    def states(self) -> dict[str, State]:
        """The state of every run."""
        return {status.id: status.state for status in self.ledger.queries.statuses()}

    def finished(self, run_id: str) -> float:
        """When a run ended, in seconds after the beginning."""
        return self.ledger.queries.history(run_id)[-1].at - 1_000_000.0

    def began(self, run_id: str) -> float:
        """When a run was first at work, in seconds after the beginning."""
        changes = self.ledger.queries.history(run_id)
        return next(change.at for change in changes if change.state is State.RUNNING) - 1_000_000.0

    def happened(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


class Listener(SessionWrapper):
    """A session that keeps the calls that it gets."""

    def __init__(self, session: Session, launch: Launch, refuses: str) -> None:
        super().__init__(session)
        self._refuses = refuses
        self.launches = ["+".join(launch.controls)]
        self.expected: list[str] = []
        self.certain: list[bool] = []

    def switch_launch(self, launch: Launch) -> None:
        """Keep the branches."""
        if self._refuses:
            raise EngineError(self._refuses)
        self.launches.append("+".join(launch.controls))
        self._session.switch_launch(launch)

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Keep the runs."""
        self.expected.append(" ".join(run.id for run in runs))
        self.certain.append(certain)
        self._session.prefetch(runs, certain=certain)


class ListeningEngine(EngineWrapper):
    """A replay engine with such sessions."""

    def __init__(self, world: World, lag: int = 0, refuses: str = "") -> None:
        """`refuses`: why no session turns to another launch; "": all do."""
        behaviour = SimulatedBehaviour(stamp, 0.0, world.step_seconds, lag=lag)
        super().__init__(SimulatedEngine(world.traits, behaviour, world.clock))
        self._refuses = refuses
        self.sessions: list[Listener] = []

    def open(self, launch: Launch) -> Listener:
        """A session."""
        self.sessions.append(Listener(super().open(launch), launch, self._refuses))
        return self.sessions[-1]

    @property
    def launches(self) -> list[list[str]]:
        """The branches of the launches of each session."""
        return [session.launches for session in self.sessions]

    @property
    def expected(self) -> list[list[str]]:
        """The runs that each session was asked to prefetch."""
        return [session.expected for session in self.sessions]
