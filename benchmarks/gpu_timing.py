"""Where the seconds of a command go: an engine and a watcher that take the time of every batch's parts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from cosmos_batch.engines.base import Engine, Event, Job, Progress, Session
from cosmos_batch.engines.transfer.guardrail import NoGuardrail
from cosmos_batch.ledger import State
from cosmos_batch.media.video import Frames
from cosmos_batch.planning.plan import Launch, Plan
from cosmos_batch.planning.traits import Traits


@dataclass
class BatchTime:
    """Seconds of one batch, from the end of the batch before to its last record."""

    runs: tuple[str, ...]
    begin: float
    whole: float = 0.0
    joining: float = 0.0  # reading control videos, text, encoding
    steps: list[float] = field(default_factory=list)  # each of them
    finishing: float = 0.0  # decoding, writing videos

    @property
    def step(self) -> float:
        """Of a denoising step: the median, for a small batch's third step is also recorded as a graph."""
        return median(self.steps)

    @property
    def beside(self) -> float:
        """Of all but so many such steps."""
        return self.whole - len(self.steps) * self.step

    @property
    def dispatching(self) -> float:
        """Of what is neither in the engine: planning, the ledger, checking outputs and moving them into place."""
        return self.whole - sum(self.steps) - self.joining - self.finishing


class Stopwatch:
    """The watcher of a command; see `dispatch.watching.Watcher`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = self.now()
        self.batches: list[BatchTime] = []
        self.order: list[str] = []  # runs in the order in which they succeeded
        self.notes: list[str] = []

    def now(self) -> float:
        """Seconds, when the device is done with what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def planned(self, plan: Plan) -> None:
        """Counts as part of the first batch."""

    def launched(self, reason: str, runs: int) -> None:
        """Counts as part of the first batch."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's name
        """A batch begins where the one before it ended."""
        self.batches.append(BatchTime(tuple(run_ids), self._last))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Steps are timed in the session."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """A batch lasts until the last of its runs ends."""
        self._last = self.now()
        self.batches[-1].whole = self._last - self.batches[-1].begin
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
        """None: no batch begins before the one ahead of it is finished, so that their times are their own."""
        return ()

    def join(self, job: Job) -> Iterable[Event]:
        """Take a run in."""
        begin = self._watch.now()
        events = list(self._session.join(job))
        self._watch.batches[-1].joining += self._watch.now() - begin
        return events

    def advance(self) -> Iterator[Event]:
        """One step further. What comes before the first run's progress is the step, what comes after is not."""
        times, stepping = self._watch.batches[-1], True
        begin = self._watch.now()
        for event in self._session.advance():
            now = self._watch.now()
            if not isinstance(event, Progress):
                times.finishing += now - begin
            elif stepping:
                times.steps.append(now - begin)
                stepping = False
            yield event
            begin = self._watch.now()

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


class Screening(NoGuardrail):
    """Lets everything pass, and keeps the frames as they are before they are compressed."""

    def __init__(self) -> None:
        self.seen: list[Frames] = []

    def check_video(self, frames: Frames) -> Frames | None:
        """The same frames."""
        self.seen.append(frames)
        return frames
