"""One batch in the air: its runs join a session, go step by step, and each of them lands exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from cosmos_batch.dispatch.watching import SavePace, Stop
from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result, Session
from cosmos_batch.errors import CosmosBatchError, EngineError, LedgerError, OutOfMemory, StorageError


@dataclass(slots=True)
class Seat:
    """A run's place in a flight."""

    job: Job
    attempt: int
    resumed: bool  # a saved state was there when it joined
    started: float  # seconds since 1970
    step: int = 0
    steps: int = 0
    landed: bool = False  # its attempt has ended

    @property
    def id(self) -> str:
        """The run's id."""
        return self.job.run.id


class Landing(Enum):
    """How a flight ended for those still aboard."""

    DONE = auto()  # nobody is
    STOPPED = auto()  # set aside, because the user wants to stop
    OUT_OF_MEMORY = auto()  # set aside, because the batch does not fit
    CRASHED = auto()  # the session broke, and may not be used again


class Recorder(Protocol):
    """Where a flight's events go."""

    def ended(self, seat: Seat, result: Result) -> None:
        """The engine says how the run came out."""

    def stepped(self, seat: Seat, seats: Sequence[Seat]) -> None:
        """A run went a step further, beside the other seats of the flight."""

    def noted(self, message: str) -> None:
        """Something that a user wants to know."""


class Flight:
    """A batch of runs in a session. Single-threaded: whatever happens, happens between two steps."""

    def __init__(
        self,
        session: Session,
        seats: Sequence[Seat],
        recorder: Recorder,
        stop: Stop,
        pace: SavePace,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._seats = {seat.id: seat for seat in seats}
        self._recorder = recorder
        self._stop = stop
        self._pace = pace
        self._clock = clock
        self.cause = ""  # of a landing other than DONE

    @property
    def aboard(self) -> list[Seat]:
        """The seats that have not landed."""
        return [seat for seat in self._seats.values() if not seat.landed]

    def fly(self) -> Landing:
        """Take every run to its end. Raises StorageError and LedgerError, with every run set aside."""
        try:
            return self._fly()
        except OutOfMemory as exc:
            self.cause = str(exc) or "out of memory"
            self._set_aside()
            return Landing.OUT_OF_MEMORY
        except (StorageError, LedgerError):
            self._set_aside()
            raise
        except Exception as exc:
            self.cause = explain(exc)
            return Landing.CRASHED

    def _fly(self) -> Landing:
        for seat in self.aboard:
            self._join(seat)
        while self.aboard:
            if self._stop.wanted:
                self.cause = "stopped by the user"
                self._set_aside()
                return Landing.STOPPED
            self._take(self._session.advance())
            self._check_company()
            self._save_when_due()
        return Landing.DONE

    def _join(self, seat: Seat) -> None:
        """Let a run in. What it raises concerns it alone, but for memory, which it shares."""
        try:
            self._take(self._session.join(seat.job))
        except (OutOfMemory, StorageError, LedgerError):
            raise
        except Exception as exc:
            with suppress(Exception):  # it may not have got far enough to leave
                self._session.leave(seat.id)
            if not seat.landed:
                self._land(seat, Result(seat.id, Outcome.FAILED, explain(exc)))

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            seat = self._seats.get(event.run_id)
            if seat is None or seat.landed:
                raise EngineError(f"the engine speaks of {event.run_id!r}, which is not in the batch")
            if isinstance(event, Progress):
                seat.step, seat.steps = event.step, event.steps
                self._recorder.stepped(seat, list(self._seats.values()))
            else:
                self._land(seat, event)

    def _land(self, seat: Seat, result: Result) -> None:
        self._recorder.ended(seat, result)
        seat.landed = True

    def _check_company(self) -> None:
        """A run that the engine has dropped without a word would be waited for without end."""
        lost = {seat.id for seat in self.aboard} - set(self._session.active)
        if lost:
            raise EngineError(f"the engine has lost {', '.join(sorted(lost))} without a result")

    def _save_when_due(self) -> None:
        if not self.aboard or not self._pace.due():
            return
        started = self._clock()
        for seat in self.aboard:
            self._session.save(seat.id)
        self._pace.spent(self._clock() - started)

    def _set_aside(self) -> None:
        """Save whoever is aboard and let them leave; one that cannot be saved goes on from its last state."""
        for seat in self.aboard:
            if seat.id not in self._session.active:
                continue
            try:
                self._session.save(seat.id)
            except Exception as exc:
                self._recorder.noted(f"{seat.id}: its state could not be saved ({explain(exc)})")
            with suppress(Exception):  # the session is about to be closed, or the run to be joined anew
                self._session.leave(seat.id)


def explain(exc: BaseException) -> str:
    """An exception as a user reads it: our own messages as they are, others with their type."""
    return str(exc) if isinstance(exc, CosmosBatchError) else f"{type(exc).__name__}: {exc}"
