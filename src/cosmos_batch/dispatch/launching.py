"""One launch: its batches flown in turn, and cut where they do not fit or break."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from cosmos_batch.dispatch.flight import Flight, Landing, Seat, explain
from cosmos_batch.dispatch.lessons import Lessons
from cosmos_batch.dispatch.recorder import BatchRecorder, Tools
from cosmos_batch.dispatch.watching import SavePace, Stop
from cosmos_batch.engines.base import Engine, Session
from cosmos_batch.errors import CosmosBatchError, EngineError
from cosmos_batch.ledger import BatchFacts, Claim
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import Run

WORKER = f"{socket.gethostname()}:{os.getpid()}"


class LaunchRunner:
    """Executes one launch of a plan."""

    def __init__(
        self,
        engine: Engine,
        launch: Launch,
        tools: Tools,
        lessons: Lessons,
        failures: Mapping[str, int],
        stop: Stop,
    ) -> None:
        """`failures` holds, by run id, the attempts that a run has made fail so far."""
        self._engine = engine
        self._launch = launch
        self._tools = tools
        self._lessons = lessons
        self._failures = dict(failures)
        self._stop = stop
        self._session: Session | None = None
        self._pace = SavePace(tools.settings.save_every, tools.clock)

    def execute(self, after_batch: Callable[[], None]) -> None:
        """Fly every batch, and call `after_batch` after each.

        Raises EngineError where the engine cannot start, StorageError and LedgerError.
        """
        waiting = deque(self._launch.batches)
        try:
            while waiting and not self._stop.wanted:
                waiting.extendleft(reversed(self._fly(waiting.popleft())))
                after_batch()
        finally:
            self._close_session()

    def _fly(self, batch: Batch) -> Sequence[Batch]:
        """Fly a batch once; what comes back is to be flown next."""
        most = self._lessons.most(batch.shape)
        if most is not None and len(batch.runs) > most:
            return split(batch, most)
        session = self._open_session()
        claim = self._claim(batch)
        if claim is None:
            return ()
        batch = _cut(batch, [run for run in batch.runs if run.id in claim.attempts])
        recorder = BatchRecorder(self._tools, claim.batch, self._failures)
        seats = self._seats(batch, claim, recorder)
        self._tools.watcher.began(claim.batch, [seat.id for seat in seats])
        return self._land(session, batch, claim.batch, seats, recorder)

    def _claim(self, batch: Batch) -> Claim | None:
        facts = BatchFacts(self._tools.identity["engine"], batch.shape, batch.seconds, batch.bytes)
        ids = [run.id for run in batch.runs]
        return self._tools.ledger.claim(ids, facts, WORKER, self._tools.settings.lease)

    def _seats(self, batch: Batch, claim: Claim, recorder: BatchRecorder) -> list[Seat]:
        seats = []
        for run in batch.runs:
            try:
                seats.append(recorder.seat(run, claim.attempts[run.id]))
            except OSError as exc:
                cause = f"an input cannot be read: {exc.filename}: {exc.strerror}"
                recorder.refused(run, claim.attempts[run.id], cause)
        self._tools.ledger.begin([seat.id for seat in seats])
        return seats

    def _land(
        self, session: Session, batch: Batch, number: int, seats: Sequence[Seat], recorder: BatchRecorder
    ) -> Sequence[Batch]:
        started = self._tools.clock()
        flight = Flight(session, seats, recorder, self._stop, self._pace, self._tools.clock)
        try:
            landing = flight.fly()
        except CosmosBatchError as exc:
            self._abandon(flight.aboard, recorder, str(exc))
            raise
        seconds = self._tools.clock() - started
        self._tools.ledger.end_batch(number, flight.cause)
        if landing is Landing.DONE:
            self._lessons.took(batch, number, seconds, seats)
            return ()
        aboard = flight.aboard
        again = self._aftermath(landing, flight, recorder, batch)
        left = _cut(batch, [seat.job.run for seat in aboard])
        return split(left, -(-len(left.runs) // 2)) if again else ()

    def _aftermath(self, landing: Landing, flight: Flight, recorder: BatchRecorder, batch: Batch) -> bool:
        """End the attempts of those still aboard; return whether they are to fly again, in halves."""
        aboard, cause = flight.aboard, flight.cause
        if landing is Landing.CRASHED:
            self._close_session()
            self._tools.folder.probe()
        if landing is Landing.OUT_OF_MEMORY:
            self._lessons.too_many(batch.shape, len(aboard))
        if landing is not Landing.STOPPED and len(aboard) == 1:
            alone = f"does not fit in memory, even alone: {cause}" if landing is Landing.OUT_OF_MEMORY else cause
            recorder.failed(aboard[0], alone, retryable=False)
            return False
        for seat in aboard:
            recorder.put_back(seat, cause)
        if landing is not Landing.STOPPED:
            recorder.noted(f"a batch of {len(aboard)} is halved: {cause}")
        return landing is not Landing.STOPPED

    def _abandon(self, aboard: Sequence[Seat], recorder: BatchRecorder, reason: str) -> None:
        """The ledger or the folder fails: put down what can still be put down; a restart mends the rest."""
        with suppress(CosmosBatchError):
            for seat in aboard:
                recorder.put_back(seat, reason)

    def _open_session(self) -> Session:
        if self._session is None:
            started = self._tools.clock()
            self._tools.watcher.launched(self._launch.reason, len(self._launch.runs))
            try:
                self._session = self._engine.open(self._launch)
            except CosmosBatchError:
                raise
            except Exception as exc:
                raise EngineError(f"the engine {self._engine.traits.name} cannot start: {explain(exc)}") from exc
            self._lessons.loaded(self._launch, self._tools.clock() - started)
        return self._session

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception as exc:
                self._tools.watcher.noted(f"the engine did not close cleanly: {explain(exc)}")


def split(batch: Batch, most: int) -> list[Batch]:
    """The batch in parts of nearly equal size, of `most` runs each at most."""
    count = -(-len(batch.runs) // most)
    bounds = [len(batch.runs) * index // count for index in range(count + 1)]
    return [_cut(batch, batch.runs[low:high]) for low, high in pairwise(bounds)]


def _cut(batch: Batch, runs: Sequence[Run]) -> Batch:
    """The batch with these of its runs, and their share of its seconds."""
    return replace(batch, runs=tuple(runs), seconds=batch.seconds * len(runs) / len(batch.runs))
