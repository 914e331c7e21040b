"""One batch in the air: its runs join a session, go step by step, and each of them lands exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Protocol

from cosmos_batch.dispatch.execution.finishing import FinishingRuns
from cosmos_batch.dispatch.execution.slot import AttemptSink, Slot
from cosmos_batch.dispatch.settings import StopToken, Throttle
from cosmos_batch.engines.base import Event, Outcome, Progress, Result, Session
from cosmos_batch.errors import (
    CosmosBatchError,
    EngineError,
    LedgerError,
    OutOfMemoryError,
    StorageError,
    UnavailableError,
    explain,
)
from cosmos_batch.run import ResolvedRun


class BatchEnd(Enum):
    """How a flight ended for those still aboard."""

    DONE = auto()  # nobody is, though some may still have to be finished
    STOPPED = auto()  # set aside, because the user wants to stop
    OUT_OF_MEMORY = auto()  # set aside, because the batch does not fit
    CRASHED = auto()  # the session broke, and may not be used again


class Steward(Protocol):
    """Decides between two steps who comes and who goes."""

    def between(self, flight: RunningBatch) -> None:
        """Let runs join, set runs aside, or drop them. Called before every step."""


class RunningBatch:
    """A batch of runs in a session. Single-threaded: whatever happens, happens between two steps."""

    def __init__(
        self,
        session: Session,
        seats: Sequence[Slot],
        recorder: AttemptSink,
        stragglers: FinishingRuns,
        stop: StopToken,
        pace: Throttle,
        clock: Callable[[], float],
        steward: Steward | None = None,
    ) -> None:
        """`stragglers`: of the batches before, joined by those of this one; `steward`: who lets runs in and takes
        them out on the way, None: nobody does.
        """
        self._session = session
        self._seats = {seat.id: seat for seat in seats}
        self._left: list[Slot] = []  # by runs that were set aside and came back to another
        self._recorder = recorder
        self._stragglers = stragglers
        self._stop = stop
        self._pace = pace
        self._clock = clock
        self._steward = steward
        self.cause = ""  # of a landing other than DONE
        self.foreign = False  # it crashed on an error that is not one of ours
        self.advances = 0  # steps that the session has taken with somebody aboard

    @property
    def running(self) -> list[Slot]:
        """The seats that have not landed, and need the device."""
        return [seat for seat in self._seats.values() if not (seat.landed or seat.finishing)]

    @property
    def slots(self) -> list[Slot]:
        """Everybody who is or was aboard."""
        return [*self._left, *self._seats.values()]

    def run(self) -> BatchEnd:
        """Take every run to its end, or as far as it needs the device; the rest is the stragglers'.

        Raises StorageError, LedgerError and UnavailableError, with every run set aside.
        """
        try:
            return self._fly()
        except OutOfMemoryError as exc:
            self.cause = str(exc) or "out of memory"
            self._hand_on()
            self._set_aside()
            return BatchEnd.OUT_OF_MEMORY
        except (StorageError, LedgerError, UnavailableError):
            self._set_aside()
            raise
        except Exception as exc:
            self.cause = explain(exc)
            self.foreign = not isinstance(exc, CosmosBatchError)
            return BatchEnd.CRASHED

    def _fly(self) -> BatchEnd:
        for seat in self.running:
            self._join(seat)
        self._hand_on()
        while self.running:
            if self._steward is not None:
                self._steward.between(self)
            if self._stop.requested:
                self.cause = self._stop.reason
                self._set_aside()
                return BatchEnd.STOPPED
            if not self.running:
                break
            self._take(self._session.advance())
            self._stragglers.collect()
            self._hand_on()
            self._check_company()
            self._save_when_due()
        return BatchEnd.DONE

    def admit(self, seats: Sequence[Slot]) -> None:
        """Let others in, at a step's end."""
        for seat in seats:
            if seat.id in self._seats:
                self._left.append(self._seats[seat.id])
            self._seats[seat.id] = seat
        for seat in seats:
            self._join(seat)
        self._hand_on()

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool) -> None:
        """These runs are to join the session next, if no other worker is sooner: it may read what they need."""
        self._session.prefetch(runs, certain=certain)

    def preempt(self, run_id: str, reason: str) -> None:
        """Take a run out with its state saved, at a step's end; it waits again. Raises StorageError."""
        seat = self._seats[run_id]
        self._session.save(run_id)
        self._session.leave(run_id)
        self._recorder.put_back(seat, reason)
        seat.landed = True

    def drop(self, run_id: str, reason: str) -> None:
        """Take a run out that nobody wants any more, at a step's end."""
        seat = self._seats[run_id]
        self._session.leave(run_id)
        self._recorder.dropped(seat, reason)
        seat.landed = True

    def _join(self, seat: Slot) -> None:
        """Let a run in. What it raises concerns it alone, but for memory, which it shares."""
        try:
            self._stragglers.give_way(seat.id, self._session)
            self._take(self._session.join(seat.job))
        except (OutOfMemoryError, StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            with suppress(Exception):  # it may not have got far enough to leave
                self._session.leave(seat.id)
            if not seat.landed:
                self._land(seat, Result(seat.id, Outcome.FAILED, explain(exc)))

    def _take(self, events: Iterable[Event]) -> None:
        went = False
        for event in events:
            if self._stragglers.heard(event):
                continue
            seat = self._seats.get(event.run_id)
            if seat is None or seat.landed:
                raise EngineError(f"the engine speaks of {event.run_id!r}, which is not in the batch")
            if isinstance(event, Progress):
                self.advances += not went
                went = True
                seat.went(event.step, event.steps)
                self._recorder.stepped(seat, [*self._seats.values(), *self._stragglers.seats])
            else:
                self._land(seat, event)

    def _hand_on(self) -> None:
        """Whoever needs nothing of the device any more is not aboard: others may be meanwhile."""
        finishing = set(self._session.finishing)
        for seat in self.running:
            if seat.id in finishing:
                self._stragglers.take(seat, self._recorder)

    def _land(self, seat: Slot, result: Result) -> None:
        self._recorder.ended(seat, result)
        seat.landed = True

    def _check_company(self) -> None:
        """A run that the engine has dropped without a word would be waited for without end."""
        lost = {seat.id for seat in self.running} - set(self._session.active)
        if lost:
            raise EngineError(f"the engine has lost {', '.join(sorted(lost))} without a result")
        self._stragglers.check(self._session.active)

    def _save_when_due(self) -> None:
        if not self.running or not self._pace.due():
            return
        started = self._clock()
        for seat in self.running:
            self._session.save(seat.id)
        self._pace.spent(self._clock() - started)

    def _set_aside(self) -> None:
        """Save whoever is aboard and let them leave; one that cannot be saved goes on from its last state."""
        for seat in self.running:
            if seat.id not in self._session.active:
                continue
            try:
                self._session.save(seat.id)
            except Exception as exc:
                self._recorder.noted(f"{seat.id}: its state could not be saved ({explain(exc)})")
            with suppress(Exception):  # the session is about to be closed, or the run to be joined anew
                self._session.leave(seat.id)
