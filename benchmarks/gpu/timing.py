"""Where the seconds of a command go: an engine and a watcher that note when the device comes to every part.

Nothing waits for that: on a GPU an event is left in its queue, and read when all is over. So a batch's files are
written while the next one is denoised, as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from cosmos_batch.engines.base import Engine, Event, Job, Progress, Session
from cosmos_batch.ledger import State
from cosmos_batch.planning.plan import Launch, Plan
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Run

Mark = Callable[[], float]
"""A moment of the device; its seconds, from any beginning, once the device has come to it."""


@dataclass
class BatchTime:
    """What the device took for one batch, in seconds of its own."""

    runs: tuple[str, ...]
    joining: float = 0.0  # waiting for control videos, encoding them
    steps: list[float] = field(default_factory=list)  # each of them; the first also reads prompts
    finishing: float = 0.0  # decoding, and handing over what is written

    @property
    def step(self) -> float:
        """Of a denoising step: the median, for a small batch's third step is also recorded as a graph."""
        return median(self.steps)


@dataclass
class _Times:
    """The same while it is measured."""

    runs: tuple[str, ...]
    joining: list[tuple[Mark, Mark]] = field(default_factory=list)
    steps: list[tuple[Mark, Mark]] = field(default_factory=list)
    finishing: list[tuple[Mark, Mark]] = field(default_factory=list)

    def read(self) -> BatchTime:
        """In seconds."""
        joining, steps, finishing = (
            [end() - begin() for begin, end in spans] for spans in (self.joining, self.steps, self.finishing)
        )
        return BatchTime(self.runs, sum(joining), steps, sum(finishing))


class Stopwatch:
    """The watcher of a command; see `dispatch.watching.Watcher`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._first: torch.cuda.Event | None = None
        self._times: list[_Times] = []
        self.order: list[str] = []  # runs in the order in which they succeeded
        self.notes: list[str] = []

    def mark(self) -> Mark:
        """When the device is done with what it was given until now."""
        if self._device.type != "cuda":
            now = time.perf_counter()
            return lambda: now
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        first = self._first = self._first or event
        return lambda: first.elapsed_time(event) / 1000

    @property
    def at_work(self) -> _Times:
        """The batch in the air."""
        return self._times[-1]

    def batches(self) -> list[BatchTime]:
        """Each batch's times, once all is over."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return [times.read() for times in self._times]

    def planned(self, plan: Plan) -> None:
        """Nothing that the device does."""

    def launched(self, reason: str, runs: int) -> None:
        """Branches are loaded, in no batch's time."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's name
        """What comes now is the batch's."""
        self._times.append(_Times(tuple(run_ids)))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Steps are timed in the session."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Note how it ended."""
        if state is State.SUCCEEDED:
            self.order.append(run_id)
        else:
            self.notes.append(f"{run_id}: {state}: {cause}")

    def noted(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)


class TimedSession:
    """A session whose parts are timed; see `engines.base.Session`."""

    def __init__(self, session: Session, watch: Stopwatch) -> None:
        self._session = session
        self._watch = watch

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return self._session.active

    @property
    def finishing(self) -> tuple[str, ...]:
        """Those of them that need nothing of the device any more."""
        return self._session.finishing

    def switch_launch(self, launch: Launch) -> None:
        """Go on with another launch."""
        self._session.switch_launch(launch)

    def prefetch(self, runs: Sequence[Run], *, certain: bool = True) -> None:
        """These runs join next."""
        self._session.prefetch(runs, certain=certain)

    def join(self, job: Job) -> Iterable[Event]:
        """Take a run in."""
        begin = self._watch.mark()
        events = list(self._session.join(job))
        self._watch.at_work.joining.append((begin, self._watch.mark()))
        return events

    def advance(self) -> Iterator[Event]:
        """One step further. What comes before the first run's progress is the step, what comes after is not."""
        times, stepping = self._watch.at_work, True
        begin = self._watch.mark()
        for event in self._session.advance():
            if stepping and isinstance(event, Progress):
                times.steps.append((begin, self._watch.mark()))
                stepping = False
                begin = self._watch.mark()
            yield event
            if stepping:
                begin = self._watch.mark()  # a run of an earlier batch has landed
        if not stepping:
            times.finishing.append((begin, self._watch.mark()))

    def save(self, run_id: str) -> None:
        """Write the run's state."""
        self._session.save(run_id)

    def leave(self, run_id: str) -> None:
        """Take the run out."""
        self._session.leave(run_id)

    def close(self) -> None:
        """Free what the session holds."""
        self._session.close()


class TimedEngine:
    """An engine whose sessions are timed; see `engines.base.Engine`."""

    def __init__(self, engine: Engine, watch: Stopwatch) -> None:
        self._engine = engine
        self._watch = watch

    @property
    def traits(self) -> Traits:
        """What it needs equal and what it can do."""
        return self._engine.traits

    @property
    def identity(self) -> Mapping[str, str]:
        """What makes the videos."""
        return self._engine.identity

    def open(self, launch: Launch) -> TimedSession:
        """Start on a launch."""
        return TimedSession(self._engine.open(launch), self._watch)
