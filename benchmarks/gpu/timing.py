"""Times of the parts of a command: an engine and an event sink that record when the device begins and ends each.

Recording does not wait: on a GPU an event is put in the device's queue and read when the command has ended, so
that a batch's files are written while the next batch is denoised, as without timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from cosmos_batch.engines.base import Engine, Event, Job, Progress, Session
from cosmos_batch.engines.wrappers import EngineWrapper, SessionWrapper
from cosmos_batch.ledger import State
from cosmos_batch.planning.plan import Launch, Plan

Mark = Callable[[], float]
"""A point in the device's queue. Returns its seconds, from any origin, after the device has reached it."""


@dataclass
class BatchTime:
    """Seconds of the device for one batch."""

    runs: tuple[str, ...]
    joining: float = 0.0  # waiting for control videos, encoding them
    steps: list[float] = field(default_factory=list)  # each of them; the first also reads prompts
    finishing: float = 0.0  # decoding, and copying the frames to the writer

    @property
    def step(self) -> float:
        """Median seconds of a denoising step; the third step of a small batch is also recorded as a graph."""
        return median(self.steps)


@dataclass
class _Times:
    """The marks of one batch while it is measured."""

    runs: tuple[str, ...]
    joining: list[tuple[Mark, Mark]] = field(default_factory=list)
    steps: list[tuple[Mark, Mark]] = field(default_factory=list)
    finishing: list[tuple[Mark, Mark]] = field(default_factory=list)

    def read(self) -> BatchTime:
        """Convert the marks to seconds."""
        joining, steps, finishing = (
            [end() - begin() for begin, end in spans] for spans in (self.joining, self.steps, self.finishing)
        )
        return BatchTime(self.runs, sum(joining), steps, sum(finishing))


class Stopwatch:
    """Event sink of a command that records the times of its batches; see `dispatch.settings.EventSink`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._first: torch.cuda.Event | None = None
        self._times: list[_Times] = []
        self.order: list[str] = []  # runs in the order in which they succeeded
        self.notes: list[str] = []

    def mark(self) -> Mark:
        """The point at which the device has done all work queued until now."""
        if self._device.type != "cuda":
            now = time.perf_counter()
            return lambda: now
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        first = self._first = self._first or event
        return lambda: first.elapsed_time(event) / 1000

    @property
    def current(self) -> _Times:
        """The batch that began last."""
        return self._times[-1]

    def batches(self) -> list[BatchTime]:
        """The times of every batch, after the command has ended."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return [times.read() for times in self._times]

    def planned(self, plan: Plan) -> None:
        """Ignore the plan."""

    def launched(self, reason: str, runs: int) -> None:
        """Ignore the launch: loading branches is in no batch's time."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's name
        """Begin a batch."""
        self._times.append(_Times(tuple(run_ids)))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Ignore the step: steps are timed in the session."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Record the end of a run."""
        if state is State.SUCCEEDED:
            self.order.append(run_id)
        else:
            self.notes.append(f"{run_id}: {state}: {cause}")

    def noted(self, message: str) -> None:
        """Keep a message."""
        self.notes.append(message)


class TimedSession(SessionWrapper):
    """A session whose parts are timed; see `engines.base.Session`."""

    def __init__(self, session: Session, watch: Stopwatch) -> None:
        super().__init__(session)
        self._watch = watch

    def join(self, job: Job) -> Iterable[Event]:
        """Add a run, and time it."""
        begin = self._watch.mark()
        events = list(self._session.join(job))
        self._watch.current.joining.append((begin, self._watch.mark()))
        return events

    def advance(self) -> Iterator[Event]:
        """Advance one step. The step is timed until the first progress event, finishing from there on."""
        times, stepping = self._watch.current, True
        begin = self._watch.mark()
        for event in self._session.advance():
            if stepping and isinstance(event, Progress):
                times.steps.append((begin, self._watch.mark()))
                stepping = False
                begin = self._watch.mark()
            yield event
            if stepping:
                begin = self._watch.mark()  # a run of an earlier batch has ended
        if not stepping:
            times.finishing.append((begin, self._watch.mark()))


class TimedEngine(EngineWrapper):
    """An engine whose sessions are timed; see `engines.base.Engine`."""

    def __init__(self, engine: Engine, watch: Stopwatch) -> None:
        super().__init__(engine)
        self._watch = watch

    def open(self, launch: Launch) -> TimedSession:
        """Open a timed session for a launch."""
        return TimedSession(self._engine.open(launch), self._watch)
