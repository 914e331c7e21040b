"""The running batch: its runs join a session, take steps, and leave it for one outcome each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from cosmos_batch.dispatch.contract import Cancelled, Ended, Outcome, Requeued, Slot, SlotView, Stepped
from cosmos_batch.dispatch.execution.finishing import FinishingRuns, take_out
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.engines.base import Event, Progress, Result, Session
from cosmos_batch.engines.base import Outcome as EngineOutcome
from cosmos_batch.errors import (
    EngineError,
    LedgerError,
    OutOfMemoryError,
    StorageError,
    UnavailableError,
    explain,
)


class RunningBatch:
    """The runs of one batch that need the device. Main thread only; everything happens between two steps.

    The only owner of its slots: a slot is in the running batch, with `FinishingRuns`, or has ended.
    """

    def __init__(
        self,
        session: Session,
        number: int,
        finishing: FinishingRuns,
        checkpoints: Throttle,
        clock: Callable[[], float],
    ) -> None:
        """`number`: of the batch, in the ledger; `checkpoints`: when states are saved."""
        self._session = session
        self._number = number
        self._finishing = finishing
        self._checkpoints = checkpoints
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._steps: dict[str, tuple[int, int]] = {}  # done, and in all, by run id

    @property
    def running(self) -> bool:
        """Whether any run needs the device."""
        return bool(self._slots)

    def views(self, lost: frozenset[int] | set[int] = frozenset()) -> tuple[SlotView, ...]:
        """Return the running slots; `lost`: attempts whose leases were lost."""
        return tuple(
            SlotView(slot.run, slot.attempt, *self._steps[run_id], lost=slot.attempt in lost)
            for run_id, slot in self._slots.items()
        )

    def join(self, slots: Sequence[Slot]) -> Iterator[Outcome]:
        """Let runs join, at the end of a step. Raises OutOfMemoryError."""
        for slot in slots:
            self._slots[slot.run_id] = slot
            self._steps[slot.run_id] = 0, 0
        for slot in slots:
            yield from self._join(slot)
        self.hand_over()

    def advance(self) -> Iterator[Outcome]:
        """Take every run one step further. Raises what the session raises."""
        yield from self._take(self._session.advance())
        yield from self._finishing.collect()
        self.hand_over()
        yield from self._check_active()
        self._save_when_due()

    def preempt(self, run_id: str) -> Outcome:
        """Save a run and take it out, so that it waits again. Raises StorageError."""
        self._session.save(run_id)
        self._session.leave(run_id)
        return Requeued(self._remove(run_id), "preempted by an urgent run", preempted=True)

    def cancel(self, run_id: str) -> Outcome:
        """Take a run out for good."""
        self._session.leave(run_id)
        return Cancelled(self._remove(run_id), "cancelled")

    def suspend(self, reason: str) -> Iterator[Outcome]:
        """Save every run and take it out, so that it waits again."""
        for slot in list(self._slots.values()):
            if slot.run_id in self._session.active:
                yield from take_out(slot, self._session)
            yield Requeued(self._remove(slot.run_id), reason)

    def save_and_leave(self) -> Iterator[Outcome]:
        """Save every run and take it out of the session; the slots stay, for `forget`."""
        for slot in self._slots.values():
            if slot.run_id in self._session.active:
                yield from take_out(slot, self._session)

    def forget(self) -> list[Slot]:
        """Drop the slots and return them; their outcomes are the caller's."""
        slots = list(self._slots.values())
        self._slots.clear()
        self._steps.clear()
        return slots

    def hand_over(self) -> None:
        """Give the runs that need the device no more to `FinishingRuns`."""
        for run_id in self._session.finishing:
            if run_id in self._slots:
                self._finishing.add(self._remove(run_id))

    def _join(self, slot: Slot) -> Iterator[Outcome]:
        """Let a run join. An error concerns this run alone, except for memory, which all runs share."""
        try:
            yield from self._finishing.give_way(slot.run_id, self._session)
            yield from self._take(self._session.join(slot.job))
        except (OutOfMemoryError, StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            with suppress(Exception):  # it may not have got far enough to leave
                self._session.leave(slot.run_id)
            if slot.run_id in self._slots:
                failure = Result(slot.run_id, EngineOutcome.FAILED, explain(exc))
                yield Ended(self._remove(slot.run_id), failure)

    def _take(self, events: Iterable[Event]) -> Iterator[Outcome]:
        first = True
        for event in events:
            if event.run_id in self._finishing:
                yield from self._finishing.accept(event)
                continue
            slot = self._slots.get(event.run_id)
            if slot is None:
                raise EngineError(f"the engine reports {event.run_id!r}, which is not in the batch")
            if isinstance(event, Progress):
                self._steps[event.run_id] = event.step, event.steps
                yield Stepped(slot, event.step, event.steps, first)
                first = False
            else:
                yield Ended(self._remove(event.run_id), event)

    def _remove(self, run_id: str) -> Slot:
        del self._steps[run_id]
        return self._slots.pop(run_id)

    def _check_active(self) -> Iterator[Outcome]:
        """Refuse a session that dropped a run without a result, which would be waited for without end."""
        lost = self._slots.keys() - set(self._session.active)
        if lost:
            raise EngineError(f"the engine has lost {', '.join(sorted(lost))} without a result")
        yield from self._finishing.check_active(self._session.active)

    def _save_when_due(self) -> None:
        if not self._slots or not self._checkpoints.due():
            return
        started = self._clock()
        for run_id in self._slots:
            self._session.save(run_id)
        self._checkpoints.spent(self._clock() - started)
