"""Runs that are denoised and not yet finished: their files are written and checked while others are in the air."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress

from cosmos_batch.dispatch.execution.slot import AttemptSink, Slot
from cosmos_batch.engines.base import Event, Outcome, Result, Session
from cosmos_batch.errors import EngineError, LedgerError, StorageError, UnavailableError, explain


class FinishingRuns:
    """The runs of a launch that its session is only finishing, each with the recorder of its own batch.

    Nobody aboard answers for them, nor they for anybody aboard: what goes wrong with one is its own failure.
    """

    def __init__(self, clock: Callable[[], float], checks: Executor, landed: Callable[[], None]) -> None:
        """`checks`: where outputs are opened; `landed` is called when one has."""
        self._clock = clock
        self._checks = checks
        self._landed = landed
        self._waiting: dict[str, tuple[Slot, AttemptSink]] = {}
        self._written: dict[str, tuple[Result, Future[None]]] = {}  # those of them whose files are opened
        self.seconds = 0.0  # that their landings held others up

    @property
    def seats(self) -> list[Slot]:
        """Those that have not landed."""
        return [seat for seat, _ in self._waiting.values()]

    def take(self, seat: Slot, recorder: AttemptSink) -> None:
        """A run is not aboard any more."""
        seat.finishing = True
        self._waiting[seat.id] = seat, recorder

    def heard(self, event: Event, since: float | None = None) -> bool:
        """Whether the event is of one of them, who lands by its result, once its files are opened; `since` when
        others wait for that.
        """
        if event.run_id not in self._waiting:
            return False
        if isinstance(event, Result) and event.outcome is Outcome.SUCCEEDED:
            seat, recorder = self._waiting[event.run_id]
            self._written[seat.id] = event, self._checks.submit(recorder.inspect, seat)
            self.collect(since)
        elif isinstance(event, Result):
            self._land(event, None, self._clock() if since is None else since)
        return True

    def collect(self, since: float | None = None) -> None:
        """Land those whose files have been opened; `since` when others wait for that."""
        for result, opened in [each for each in self._written.values() if each[1].done()]:
            self._land(result, opened, self._clock() if since is None else since)

    def check(self, active: Collection[str]) -> None:
        """Fail those that the engine has dropped without a word, which would be waited for without end."""
        for seat, recorder in list(self._waiting.values()):
            if seat.id not in active and seat.id not in self._written:
                recorder.failed(seat, f"the engine has lost {seat.id} without a result", retryable=False)
                self._forget(seat)

    def give_way(self, run_id: str, session: Session) -> None:
        """A run joins anew. An attempt of it that is still being finished is not ours any more."""
        if run_id in self._waiting:
            seat, recorder = self._waiting[run_id]
            if run_id in self._written:
                wait([self._written[run_id][1]])
            else:
                session.leave(run_id)
            recorder.lost(seat)
            self._forget(seat)

    def see_through(self, session: Session) -> None:
        """Wait until all have landed, while nobody is aboard. Raises what the session raises."""
        while self._waiting:
            since = self._clock()
            if len(self._written) == len(self._waiting):
                wait([opened for _, opened in self._written.values()], return_when=FIRST_COMPLETED)
                self.collect(since)
                continue
            for event in session.advance():
                if not self.heard(event, since):
                    raise EngineError(f"the engine speaks of {event.run_id!r}, which is in no batch")
                since = self._clock()
            self.check(session.active)

    def land_written(self) -> None:
        """Land those whose files are there, as soon as they have been opened."""
        wait([opened for _, opened in self._written.values()])
        self.collect()

    def fail(self, cause: str) -> None:
        """The session broke over them, and is closed."""
        for seat, recorder in list(self._waiting.values()):
            recorder.failed(seat, cause, retryable=True)
            self._forget(seat)

    def put_back(self, reason: str, session: Session | None = None) -> None:
        """Have them wait again, from before their last frames were made where the session lets them be saved.

        `session`: None where it is closed.
        """
        for seat, recorder in list(self._waiting.values()):
            if session is not None and seat.id in session.active:
                _set_aside(seat, recorder, session)
            recorder.put_back(seat, reason)
            self._forget(seat)

    def _land(self, result: Result, opened: Future[None] | None, since: float) -> None:
        seat, recorder = self._waiting[result.run_id]
        try:
            recorder.ended(seat, result, opened.result if opened else None)
        except (StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            recorder.failed(seat, explain(exc), retryable=False)
        seat.landing_seconds = self._clock() - since
        self.seconds += seat.landing_seconds
        self._forget(seat)

    def _forget(self, seat: Slot) -> None:
        seat.landed = True
        del self._waiting[seat.id]
        self._written.pop(seat.id, None)
        self._landed()


def _set_aside(seat: Slot, recorder: AttemptSink, session: Session) -> None:
    try:
        session.save(seat.id)
    except Exception as exc:
        recorder.noted(f"{seat.id}: its state could not be saved ({explain(exc)})")
    with suppress(Exception):  # the session is about to be closed
        session.leave(seat.id)
