"""A launch: its batches flown in turn, and cut where they do not fit or break."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from cosmos_batch.dispatch.execution.attempts import AttemptRecorder, DispatchContext
from cosmos_batch.dispatch.execution.batch import BatchEnd, RunningBatch, Steward
from cosmos_batch.dispatch.execution.finishing import FinishingRuns
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.execution.slot import Slot
from cosmos_batch.dispatch.settings import StopToken, Throttle
from cosmos_batch.engines.base import Engine, Session
from cosmos_batch.errors import (
    CosmosBatchError,
    EngineError,
    EngineLostError,
    LedgerError,
    StorageError,
    UnavailableError,
    explain,
)
from cosmos_batch.ledger import BatchFacts
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import ResolvedRun, Signature

T = TypeVar("T")


class Attendant(Steward, Protocol):
    """A steward of one batch after the other."""

    def attend(
        self, batch: Batch, number: int, controls: Signature, recorder: AttemptRecorder, closed: bool
    ) -> None:
        """A batch begins, in a session with these control branches. `closed`: nobody may join it."""

    def foresee(self, session: Session, runs: Sequence[ResolvedRun]) -> None:
        """Tell a session of the runs that join it now, and of those that are likely to be next."""

    def further(self) -> tuple[Launch, Mapping[str, int]] | None:
        """The launch that comes next, where it may go on in the session of the last; and, by run id, the attempts
        that its runs have made fail so far.
        """


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A batch that this process has, and has seated."""

    batch: Batch
    number: int  # in the ledger
    seats: list[Slot]
    recorder: AttemptRecorder
    closed: bool  # nobody may join it: it is a part of one that broke, and is to be smaller than that was


@dataclass(frozen=True, slots=True)
class _Flown:
    """A batch that has nobody aboard any more, of whom some may still have to be finished."""

    batch: Batch
    number: int  # in the ledger
    flight: RunningBatch
    seconds: float  # that it was in the air

    @property
    def over(self) -> bool:
        """Whether everybody is finished."""
        return all(seat.landed for seat in self.flight.slots if seat.finishing)

    @property
    def all_seconds(self) -> float:
        """With those that it held up the batches after it."""
        return self.seconds + sum(seat.landing_seconds for seat in self.flight.slots)


class LaunchExecutor:
    """Executes one launch of a plan."""

    def __init__(
        self,
        engine: Engine,
        launch: Launch,
        tools: DispatchContext,
        lessons: MeasurementLog,
        failures: Mapping[str, int],
        stop: StopToken,
        attendant: Attendant | None = None,
        alone_seconds: Callable[[ResolvedRun], float] | None = None,
    ) -> None:
        """`failures` holds, by run id, the attempts that a run has made fail so far; `attendant` decides who
        comes and goes between steps, None: nobody does; `alone_seconds` predicts a launch of one run.
        """
        self._engine = engine
        self._launch = launch
        self._tools = tools
        self._lessons = lessons
        self._failures = dict(failures)
        self._stop = stop
        self._attendant = attendant
        self._alone_seconds = alone_seconds
        self._session: Session | None = None
        self._held: deque[_Claimed] = deque()  # the parts of a broken batch, which are nobody else's meanwhile
        self._flown: list[_Flown] = []
        self._stragglers = FinishingRuns(tools.clock, tools.checks, self._end_batches)
        self._pace = Throttle(tools.settings.save_every, tools.clock)

    def execute(self, after_batch: Callable[[], None]) -> None:
        """Fly every batch, and call `after_batch` after each; then those of the launches that the attendant has
        further. Raises EngineError where the engine cannot start, StorageError and LedgerError.
        """
        waiting = deque(part for batch in self._launch.batches for part in self._within_limits(batch))
        try:
            while not self._stop.requested and (self._held or waiting):
                if self._held:
                    self._fly(self._open_session((self._held[0].batch, *waiting)), self._held.popleft())
                else:
                    waiting.extendleft(reversed(self._begin(waiting.popleft(), waiting)))
                after_batch()
                if not (self._held or waiting):
                    waiting.extend(self._further())
            self._see_through()
        finally:
            self._let_go()
            self._close_session()

    def _further(self) -> Sequence[Batch]:
        """The batches of another launch for the same session: meanwhile the files of the last are written."""
        if self._attendant is None or self._stop.requested:
            return ()
        found = self._attendant.further()
        if found is None:
            return ()
        before, (self._launch, failures) = self._launch, found
        self._failures = dict(failures)
        if self._session is not None and self._launch.controls != before.controls:
            session = self._session
            self._started(self._launch, lambda: session.switch_launch(self._launch))
        return [part for batch in self._launch.batches for part in self._within_limits(batch)]

    def _within_limits(self, batch: Batch) -> Sequence[Batch]:
        """The batch, in parts where it is larger than what is known to fit."""
        most = self._lessons.max_runs(batch.shape)
        return batch.split(most) if most is not None and len(batch.runs) > most else (batch,)

    def _begin(self, batch: Batch, waiting: Sequence[Batch]) -> Sequence[Batch]:
        """Fly a batch once, ahead of those that wait; what comes back is to be flown next."""
        parts = self._within_limits(batch)
        if len(parts) > 1:
            return parts
        session = self._open_session((batch, *waiting))
        claimed = self._claim(batch)
        if claimed is None:
            return ()
        runs = [seat.job.run for seat in claimed.seats]
        if self._attendant is not None and not waiting:
            self._attendant.foresee(session, runs)
        else:
            session.prefetch([*runs, *(waiting[0].runs if waiting else ())])
        return self._fly(session, claimed)

    def _claim(self, batch: Batch, closed: bool = False) -> _Claimed | None:
        """The batch with those of its runs that still wait, seated; None where none does."""
        tools = self._tools
        alone = {run.id: self._alone_seconds(run) for run in batch.runs} if self._alone_seconds else {}
        facts = BatchFacts(tools.identity["engine"], batch.shape, batch.seconds, batch.bytes, alone)
        ids = [run.id for run in batch.runs]
        claim = tools.ledger.queue.claim(ids, facts, tools.worker, tools.settings.lease)
        if claim is None:
            return None
        batch = batch.take([run for run in batch.runs if run.id in claim.attempts])
        recorder = AttemptRecorder(tools, claim.batch, self._failures)
        seats = [seat for run in batch.runs if (seat := recorder.place(run, claim.attempts[run.id]))]
        return _Claimed(batch, claim.batch, seats, recorder, closed)

    def _fly(self, session: Session, claimed: _Claimed) -> Sequence[Batch]:
        """Fly a claimed batch; what comes back is to be claimed and flown next."""
        batch, number, seats = claimed.batch, claimed.number, claimed.seats
        self._tools.ledger.attempts.begin([seat.id for seat in seats])
        if self._attendant is not None:
            self._attendant.attend(batch, number, self._launch.controls, claimed.recorder, claimed.closed)
        self._tools.events.began(number, [seat.id for seat in seats])
        started, held_up = self._tools.clock(), self._stragglers.seconds
        flight = RunningBatch(
            session,
            seats,
            claimed.recorder,
            self._stragglers,
            self._stop,
            self._pace,
            self._tools.clock,
            self._attendant,
        )
        try:
            landing = flight.run()
        except CosmosBatchError as exc:
            self._abandon(flight.running, claimed.recorder, str(exc))
            raise
        seconds = self._tools.clock() - started - (self._stragglers.seconds - held_up)
        flown = _Flown(batch, number, flight, seconds)
        if landing is BatchEnd.CRASHED:
            self._tools.ledger.attempts.end_batch(number, flight.cause, flown.all_seconds)
        else:
            self._flown.append(flown)
            self._end_batches()
        return self._after(landing, flight, claimed)

    def _end_batches(self) -> None:
        """Those of whom everybody is finished are over, and teach how long they took."""
        for flown in [flown for flown in self._flown if flown.over]:
            self._flown.remove(flown)
            seconds = flown.all_seconds
            self._tools.ledger.attempts.end_batch(flown.number, flown.flight.cause, seconds)
            self._lessons.took(flown.batch, flown.number, seconds, flown.flight)

    def _after(self, landing: BatchEnd, flight: RunningBatch, claimed: _Claimed) -> Sequence[Batch]:
        """The halves of a batch that is to fly again. Those of one that broke, and theirs, are held at once:
        nobody joins them, and no other worker takes their runs, so that ever less is aboard with the bad run.
        """
        aboard = flight.running
        if landing is BatchEnd.DONE or not self._aftermath(landing, flight, claimed.recorder, claimed.batch):
            return ()
        left = claimed.batch.take([seat.job.run for seat in aboard])
        halves = left.split(-(-len(left.runs) // 2))
        if landing is BatchEnd.OUT_OF_MEMORY and not claimed.closed:
            return halves
        for half in reversed(halves):
            if (held := self._claim(half, closed=True)) is not None:
                self._held.appendleft(held)
        return ()

    def _see_through(self) -> None:
        """Wait for those that are still to be finished, before the session is closed."""
        if self._session is None:
            return
        try:
            self._stragglers.see_through(self._session)
        except (StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            self._close_session()
            self._stragglers.land_written()
            self._stragglers.fail(explain(exc))
            if self._tools.settings.guarded and not isinstance(exc, CosmosBatchError):
                raise EngineLostError(f"the engine broke: {explain(exc)}") from exc

    def _give_back(self, reason: str) -> None:
        """Let those wait again that were still to be finished: the session is gone, or goes."""
        with suppress(StorageError, LedgerError, UnavailableError):
            self._stragglers.land_written()
        flown, self._flown = self._flown, []
        self._stragglers.put_back(reason, self._session)
        for each in flown:
            self._tools.ledger.attempts.end_batch(each.number, reason, each.all_seconds)

    def _let_go(self) -> None:
        """Give up what will not be flown, or finished."""
        reason = self._stop.reason if self._stop.requested else "its launch was given up"
        with suppress(CosmosBatchError):
            self._give_back(reason)
        while self._held:
            part = self._held.popleft()
            self._abandon(part.seats, part.recorder, reason)
            with suppress(CosmosBatchError):
                self._tools.ledger.attempts.end_batch(part.number, reason)

    def _aftermath(self, landing: BatchEnd, flight: RunningBatch, recorder: AttemptRecorder, batch: Batch) -> bool:
        """End the attempts of those still aboard; return whether they are to fly again, in halves or alone."""
        aboard, cause = flight.running, flight.cause
        if landing is BatchEnd.CRASHED:
            self._close_session()
            self._give_back(f"the engine broke before it was finished: {cause}")
            self._tools.folder.probe()
        if landing is BatchEnd.OUT_OF_MEMORY:
            self._lessons.too_many(batch.shape, len(aboard))
        if landing is not BatchEnd.STOPPED and len(aboard) == 1:
            alone = f"does not fit in memory, even alone: {cause}" if landing is BatchEnd.OUT_OF_MEMORY else cause
            again = recorder.failed(aboard[0], alone, retryable=False)
            self._demand_fresh_process(flight, [])
            return again and landing is BatchEnd.CRASHED  # from its start, and not in company, which it may harm
        for seat in aboard:
            recorder.put_back(seat, cause)
        self._demand_fresh_process(flight, aboard)
        again = landing is not BatchEnd.STOPPED and bool(aboard)
        if again:
            self._tools.counters.count("splits")
            recorder.noted(f"a batch of {len(aboard)} is halved: {cause}")
        return again

    def _demand_fresh_process(self, flight: RunningBatch, suspects: Sequence[Slot]) -> None:
        """An error that nobody foresaw may have harmed the process: a device in an unknown state, say."""
        if self._tools.settings.guarded and flight.foreign:
            self._tools.ledger.crashes.record_crash({seat.id: seat.step for seat in suspects}, flight.cause)
            raise EngineLostError(f"the engine broke: {flight.cause}")

    def _abandon(self, aboard: Sequence[Slot], recorder: AttemptRecorder, reason: str) -> None:
        """The ledger or the folder fails: put down what can still be put down; a restart mends the rest."""
        with suppress(CosmosBatchError):
            for seat in aboard:
                recorder.put_back(seat, reason)

    def _open_session(self, batches: tuple[Batch, ...]) -> Session:
        """The session; if there is none, a new one on these batches."""
        if self._session is None:
            launch = replace(self._launch, batches=batches)
            self._session = self._started(launch, lambda: self._engine.open(launch))
        return self._session

    def _started(self, launch: Launch, start: Callable[[], T]) -> T:
        """What comes of starting on a launch, which is told and timed. Raises EngineError where it fails."""
        started = self._tools.clock()
        self._tools.events.launched(launch.reason, len(self._launch.runs))
        try:
            made = start()
        except CosmosBatchError:
            raise
        except Exception as exc:
            raise EngineError(f"the engine {self._engine.traits.name} cannot start: {explain(exc)}") from exc
        self._lessons.loaded(launch, self._tools.clock() - started)
        return made

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception as exc:
                self._tools.events.noted(f"the engine did not close cleanly: {explain(exc)}")
