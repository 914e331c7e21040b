"""Finishing runs: denoising is complete, outputs are written and verified while later batches run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass

from cosmos_batch.dispatch.contract import Ended, Failed, LeaseLost, Noted, Outcome, Requeued, Slot
from cosmos_batch.engines.base import Event, Result, Session
from cosmos_batch.engines.base import Outcome as EngineOutcome
from cosmos_batch.errors import EngineError, explain
from cosmos_batch.scoring.scores import VideoScores


@dataclass(frozen=True, slots=True)
class _Written:
    """A run whose files are written and are being verified."""

    result: Result
    inspection: Future[VideoScores]


class FinishingRuns:
    """The runs that a session is only finishing, of whatever batch.

    Main thread only; outputs are verified in `checks`. A failure of one run concerns neither the others nor the
    running batch.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        checks: Executor,
        inspect: Callable[[Slot], VideoScores],
    ) -> None:
        """`inspect` verifies and scores a slot's output in `checks`, and raises OutputError."""
        self._clock = clock
        self._checks = checks
        self._inspect = inspect
        self._slots: dict[str, Slot] = {}
        self._written: dict[str, _Written] = {}

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of the runs."""
        return tuple(self._slots)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._slots

    def add(self, slot: Slot) -> None:
        """Take a run over from the running batch."""
        self._slots[slot.run_id] = slot

    def accept(self, event: Event, since: float | None = None) -> Iterator[Outcome]:
        """Take an event of one of the runs.

        `since`: seconds since 1970 from when on dispatching waits for it; None: it does not.
        """
        slot = self._slots[event.run_id]
        if isinstance(event, Result) and event.outcome is EngineOutcome.SUCCEEDED:
            self._written[slot.run_id] = _Written(event, self._checks.submit(self._inspect, slot))
            yield from self.collect(since)
        elif isinstance(event, Result):
            yield self._ended(Ended(slot, event, finishing=True, since=since))

    def collect(self, since: float | None = None) -> Iterator[Outcome]:
        """End the runs whose outputs have been verified."""
        for written in [written for written in self._written.values() if written.inspection.done()]:
            slot = self._slots[written.result.run_id]
            yield self._ended(
                Ended(slot, written.result, finishing=True, inspection=written.inspection, since=since)
            )

    def check_active(self, active: Collection[str]) -> Iterator[Outcome]:
        """Fail the runs that the session dropped without a result."""
        for slot in list(self._slots.values()):
            if slot.run_id not in active and slot.run_id not in self._written:
                cause = f"the engine has lost {slot.run_id} without a result"
                yield self._ended(Failed(slot, cause, retryable=False))

    def give_way(self, run_id: str, session: Session) -> Iterator[Outcome]:
        """Drop an earlier attempt at a run that was claimed anew: its lease was lost."""
        slot = self._slots.get(run_id)
        if slot is None:
            return
        if run_id in self._written:
            wait([self._written[run_id].inspection])
        else:
            session.leave(run_id)
        yield self._ended(LeaseLost(slot))

    def wait_for_one(self, session: Session) -> Iterator[Outcome]:
        """Wait until a run may have ended, while no run needs the device. Raises what the session raises."""
        since = self._clock()
        if len(self._written) == len(self._slots):
            wait([written.inspection for written in self._written.values()], return_when=FIRST_COMPLETED)
            yield from self.collect(since)
            return
        for event in session.advance():
            if event.run_id not in self:
                raise EngineError(f"the engine reports {event.run_id!r}, which is in no batch")
            yield from self.accept(event, since)
            since = self._clock()
        yield from self.check_active(session.active)

    def end_written(self) -> Iterator[Outcome]:
        """End the runs whose files are written, once they are verified."""
        wait([written.inspection for written in self._written.values()])
        yield from self.collect()

    def fail(self, cause: str) -> Iterator[Outcome]:
        """Fail every run: its session broke."""
        for slot in list(self._slots.values()):
            yield self._ended(Failed(slot, cause, retryable=True))

    def requeue(self, reason: str, session: Session | None) -> Iterator[Outcome]:
        """Requeue every run, from before its last frames were decoded where the session can save it.

        `session`: None where it is closed.
        """
        for slot in list(self._slots.values()):
            if session is not None and slot.run_id in session.active:
                yield from take_out(slot, session)
            yield self._ended(Requeued(slot, reason))

    def _ended(self, outcome: Ended | Failed | LeaseLost | Requeued) -> Outcome:
        del self._slots[outcome.slot.run_id]
        self._written.pop(outcome.slot.run_id, None)
        return outcome


def take_out(slot: Slot, session: Session) -> Iterator[Outcome]:
    """Save a run's state and take it out of the session. A state that cannot be saved stays the last saved one."""
    try:
        session.save(slot.run_id)
    except Exception as exc:
        yield Noted(f"{slot.run_id}: its state could not be saved ({explain(exc)})")
    with suppress(Exception):  # the session is about to be closed, or the run to be joined anew
        session.leave(slot.run_id)
