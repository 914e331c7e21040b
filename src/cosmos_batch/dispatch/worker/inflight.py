"""What a worker is at, kept where it outlives the worker: so that a death can be laid at the right door.

It is written with one system call before and after every call into the engine. The kernel keeps it when the
process is killed; when the machine goes down it may be lost, and then no run is suspected.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.engines.base import Engine, Event, Job, Progress, Result, Session
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Run

STARTING, DISPATCHING, ENGINE = "starting", "dispatching", "engine"


@dataclass(frozen=True, slots=True)
class Inflight:
    """What a worker was at when it was last heard of."""

    worker: str  # its id; "" where nothing is known
    phase: str  # one of the three above
    aboard: Mapping[str, int] = field(default_factory=dict)  # runs the engine was at, and their steps done


def read_box(path: Path) -> Inflight:
    """What lies in a black box; one that is missing or unreadable says nothing."""
    try:
        found = json.loads(path.read_bytes())
        return Inflight(found["worker"], found["phase"], found["aboard"])
    except (OSError, ValueError, KeyError, TypeError):
        return Inflight("", STARTING)


class InflightMarker:
    """A worker's black box, and its count of the seconds that the engine was at work."""

    def __init__(self, path: Path, worker: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin a new one. Raises StorageError."""
        self._worker = worker
        self._clock = clock
        self._length = 0
        self._since: float | None = None
        self.busy = 0.0  # seconds
        with folder_errors(path.parent):
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._write(STARTING, {})

    def ready(self) -> None:
        """The engine is loaded."""
        self._write(DISPATCHING, {})

    def enter(self, aboard: Mapping[str, int]) -> None:
        """The engine is called, for these runs, each with its steps done."""
        self._write(ENGINE, aboard)
        self._since = self._clock()

    def leave(self) -> None:
        """The engine has returned."""
        if self._since is not None:
            self.busy += self._clock() - self._since
            self._since = None
        self._write(DISPATCHING, {})

    def _write(self, phase: str, aboard: Mapping[str, int]) -> None:
        text = json.dumps({"worker": self._worker, "phase": phase, "aboard": aboard}).encode()
        self._length = max(self._length, len(text))
        os.pwrite(self._handle, text.ljust(self._length), 0)  # spaces over what was there, all in one call


class TrackedSession:
    """A session that says what it is at; see `engines.base.Session`."""

    def __init__(self, session: Session, box: InflightMarker) -> None:
        self._session = session
        self._box = box
        self._steps: dict[str, int] = {}
        self._expected: dict[str, int] = {}

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return self._session.active

    @property
    def finishing(self) -> tuple[str, ...]:
        """Those of them that need nothing of the device any more. They may still be what kills the process."""
        return self._session.finishing

    def switch_launch(self, launch: Launch) -> None:
        """Go on with another launch."""
        self._box.enter({run.id: 0 for run in launch.runs})
        try:
            self._session.switch_launch(launch)
        finally:
            self._box.leave()

    def prefetch(self, runs: Sequence[Run], *, certain: bool = True) -> None:
        """These runs join next. While their files are read, they may be what kills the process."""
        self._expected = {run.id: 0 for run in runs if run.id not in self._steps}
        self._session.prefetch(runs, certain=certain)

    def join(self, job: Job) -> Iterator[Event]:
        """Take a run in."""
        self._expected.pop(job.run.id, None)
        self._steps[job.run.id] = 0
        return self._watched(lambda: self._session.join(job), {**self._expected, job.run.id: 0})

    def advance(self) -> Iterator[Event]:
        """Take every active run one step further."""
        aboard = {id_: self._steps.get(id_, 0) for id_ in self._session.active}
        return self._watched(self._session.advance, self._expected | aboard)

    def save(self, run_id: str) -> None:
        """Write the run's state."""
        self._session.save(run_id)

    def leave(self, run_id: str) -> None:
        """Take the run out."""
        self._steps.pop(run_id, None)
        self._session.leave(run_id)

    def close(self) -> None:
        """Free what the session holds."""
        self._session.close()

    def _watched(self, call: Callable[[], Iterable[Event]], aboard: Mapping[str, int]) -> Iterator[Event]:
        """The events of a call; while its consumer is at one of them, the engine is not at work."""
        self._box.enter(aboard)
        try:
            for event in call():
                self._heard(event)
                self._box.leave()
                yield event
                self._box.enter(aboard)
        finally:
            self._box.leave()

    def _heard(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._steps[event.run_id] = event.step
        elif isinstance(event, Result):
            self._steps.pop(event.run_id, None)


class TrackedEngine:
    """An engine whose sessions say what they are at; see `engines.base.Engine`."""

    def __init__(self, engine: Engine, box: InflightMarker) -> None:
        self._engine = engine
        self._box = box

    @property
    def traits(self) -> Traits:
        """What it needs equal and what it can do."""
        return self._engine.traits

    @property
    def identity(self) -> Mapping[str, str]:
        """What makes the videos."""
        return self._engine.identity

    def open(self, launch: Launch) -> TrackedSession:
        """Start on a launch."""
        self._box.enter({run.id: 0 for run in launch.runs})
        try:
            return TrackedSession(self._engine.open(launch), self._box)
        finally:
            self._box.leave()
