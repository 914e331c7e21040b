"""In-flight marker: a file that names the runs the engine is executing, so that a crash can be attributed.

It is written with one system call before and after every call into the engine. The kernel keeps the file when the
process is killed; when the machine goes down the file may be lost, and then no run is suspected.
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
from cosmos_batch.engines.wrappers import EngineWrapper, SessionWrapper
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import ResolvedRun

STARTING, DISPATCHING, ENGINE = "starting", "dispatching", "engine"


@dataclass(frozen=True, slots=True)
class Inflight:
    """The contents of an in-flight marker: what a worker was executing when it last wrote it."""

    worker: str  # its id; "" where nothing is known
    phase: str  # STARTING, DISPATCHING or ENGINE
    running: Mapping[str, int] = field(default_factory=dict)  # runs in the engine's call, with their steps done


def read_inflight(path: Path) -> Inflight:
    """Read an in-flight marker; one that is missing or unreadable gives an `Inflight` without a worker."""
    try:
        found = json.loads(path.read_bytes())
        running = found["running"] if "running" in found else found["aboard"]  # the key of earlier versions
        return Inflight(found["worker"], found["phase"], running)
    except (OSError, ValueError, KeyError, TypeError):
        return Inflight("", STARTING)


class InflightMarker:
    """Writes a worker's in-flight marker, and counts the seconds spent in the engine.

    Only the worker's main thread touches it.
    """

    def __init__(self, path: Path, worker: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Create the file, in phase STARTING. Raises StorageError."""
        self._worker = worker
        self._clock = clock
        self._length = 0
        self._since: float | None = None
        self._idle = self._text(DISPATCHING, {})
        self._entered: tuple[Mapping[str, int] | None, bytes] = None, b""  # the latest runs, and their text
        self.busy = 0.0  # seconds spent in the engine
        with folder_errors(path.parent):
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._write(self._text(STARTING, {}))

    def ready(self) -> None:
        """Record that the engine is loaded."""
        self._write(self._idle)

    def enter(self, running: Mapping[str, int]) -> None:
        """Record that the engine is called for these runs, each with its steps done.

        A mapping that was given before must not have changed: a step enters once for each of its events.
        """
        if running is not self._entered[0]:
            self._entered = running, self._text(ENGINE, running)
        self._write(self._entered[1])
        self._since = self._clock()

    def leave(self) -> None:
        """Record that the engine's call has returned."""
        if self._since is not None:
            self.busy += self._clock() - self._since
            self._since = None
        self._write(self._idle)

    def _text(self, phase: str, running: Mapping[str, int]) -> bytes:
        return json.dumps({"worker": self._worker, "phase": phase, "running": running}).encode()

    def _write(self, text: bytes) -> None:
        self._length = max(self._length, len(text))
        os.pwrite(self._handle, text.ljust(self._length), 0)  # spaces over the earlier text, all in one call


class TrackedSession(SessionWrapper):
    """A session whose calls are recorded in an in-flight marker; see `engines.base.Session`."""

    def __init__(self, session: Session, marker: InflightMarker) -> None:
        super().__init__(session)
        self._marker = marker
        self._steps: dict[str, int] = {}
        self._prefetched: dict[str, int] = {}

    def switch_launch(self, launch: Launch) -> None:
        """Continue with another launch."""
        self._marker.enter({run.id: 0 for run in launch.runs})
        try:
            self._session.switch_launch(launch)
        finally:
            self._marker.leave()

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Prefetch the files of the runs that join next; reading them may crash the process."""
        self._prefetched = {run.id: 0 for run in runs if run.id not in self._steps}
        self._session.prefetch(runs, certain=certain)

    def join(self, job: Job) -> Iterator[Event]:
        """Add a run to the batch."""
        self._prefetched.pop(job.run.id, None)
        self._steps[job.run.id] = 0
        return self._tracked(lambda: self._session.join(job), {**self._prefetched, job.run.id: 0})

    def advance(self) -> Iterator[Event]:
        """Advance every active run by one step."""
        active = {id_: self._steps.get(id_, 0) for id_ in self._session.active}
        return self._tracked(self._session.advance, self._prefetched | active)

    def leave(self, run_id: str) -> None:
        """Remove the run from the batch."""
        self._steps.pop(run_id, None)
        self._session.leave(run_id)

    def _tracked(self, call: Callable[[], Iterable[Event]], running: Mapping[str, int]) -> Iterator[Event]:
        """Yield the events of a call; while the consumer handles an event, the marker is out of the engine."""
        self._marker.enter(running)
        try:
            for event in call():
                self._note(event)
                self._marker.leave()
                yield event
                self._marker.enter(running)
        finally:
            self._marker.leave()

    def _note(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._steps[event.run_id] = event.step
        elif isinstance(event, Result):
            self._steps.pop(event.run_id, None)


class TrackedEngine(EngineWrapper):
    """An engine whose sessions are tracked by an in-flight marker; see `engines.base.Engine`."""

    def __init__(self, engine: Engine, marker: InflightMarker) -> None:
        super().__init__(engine)
        self._marker = marker

    def open(self, launch: Launch) -> TrackedSession:
        """Open a session for a launch."""
        self._marker.enter({run.id: 0 for run in launch.runs})
        try:
            return TrackedSession(self._engine.open(launch), self._marker)
        finally:
            self._marker.leave()
