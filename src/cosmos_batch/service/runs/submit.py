"""Submissions on their way into the ledger: what comes at the same time goes in together, in one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cosmos_batch.errors import ConflictError, CosmosBatchError, LedgerError
from cosmos_batch.ledger import Ledger, State, Submission, SubmitResult
from cosmos_batch.ledger.models import WAITING
from cosmos_batch.service.http.errors import ApiError

TOGETHER = 500  # submissions in one transaction
GATHER_SECONDS = 0.001  # for which more are waited for: a transaction costs as much as ten runs in it
_GATHER_TIMES = 5  # that this is done at most, as long as more come
_COUNT_SECONDS = 1.0  # how long a count of the waiting runs is believed

Prepare = Callable[[], Submission]
"""Makes a submission of a request; may raise InputError and Refusal, and is to be quick."""


@dataclass(frozen=True, slots=True)
class Done:
    """A submission that is in the ledger."""

    submission: Submission
    accepted: SubmitResult


Answer = Done | Exception


class SubmitQueue:
    """How many runs wait, and whether more may."""

    def __init__(self, states: Callable[[], dict[State, int]], most: int) -> None:
        self._states = states
        self._most = most
        self._counted = -_COUNT_SECONDS
        self._waiting = 0

    def reserve(self, runs: int) -> None:
        """Count runs that are about to wait. Raises Refusal where they would be too many, and LedgerError."""
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            states = self._states()
            self._waiting = sum(states.get(state, 0) for state in WAITING)
            self._counted = time.monotonic()
        if self._waiting + runs > self._most:
            raise ApiError(
                429,
                "queue_full",
                f"{self._waiting:,} runs wait already, and no more than {self._most:,} may; submit again later",
                headers={"Retry-After": "60"},
            )
        self._waiting += runs


class Submitter:
    """Takes submissions in. Answers come when they are in the ledger, and not before."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        """`most`: runs that may wait."""
        self._ledger = ledger
        self._queue = SubmitQueue(ledger.queries.states, most)
        self._pending: list[tuple[Prepare, asyncio.Future[Done]]] = []
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, prepare: Prepare) -> Done:
        """Take one run in. Raises Refusal, ConflictError, LedgerError, and what `prepare` raises."""
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._pending.append((prepare, future))
        if not self._busy:
            self._busy = True
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _work(self) -> None:
        """Write whatever has gathered, until nothing has."""
        try:
            while self._pending:
                await self._gather()
                taken, self._pending = self._pending[:TOGETHER], self._pending[TOGETHER:]
                answers = await asyncio.to_thread(self._answer, [prepare for prepare, _ in taken])
                for (_, future), answered in zip(taken, answers, strict=True):
                    _settle(future, answered)
        finally:
            self._busy = False

    async def _gather(self) -> None:
        """Wait for a moment, as long as more come."""
        for _ in range(_GATHER_TIMES):
            known = len(self._pending)
            await asyncio.sleep(GATHER_SECONDS)
            if len(self._pending) == known:
                return

    def _answer(self, wanted: Sequence[Prepare]) -> list[Answer]:
        prepared = [_prepared(prepare) for prepare in wanted]
        written = iter(self._write([each for each in prepared if isinstance(each, Submission)]))
        return [next(written) if isinstance(each, Submission) else each for each in prepared]

    def _write(self, wanted: Sequence[Submission]) -> list[Answer]:
        """One transaction for all; where one of them contradicts the ledger, one for each."""
        if not wanted:
            return []
        try:
            self._queue.reserve(len(wanted))
            accepted = self._ledger.runs.accept(wanted)
            return [Done(each, answered) for each, answered in zip(wanted, accepted, strict=True)]
        except ConflictError as exc:
            return [exc] if len(wanted) == 1 else [self._write_one(each) for each in wanted]
        except (ApiError, LedgerError) as exc:
            return [exc] * len(wanted)

    def _write_one(self, wanted: Submission) -> Answer:
        try:
            return Done(wanted, self._ledger.runs.accept([wanted])[0])
        except (ConflictError, LedgerError) as exc:
            return exc

    def submit_all(self, wanted: Sequence[Submission]) -> list[SubmitResult]:
        """Take many runs in, in this thread, all or none. Raises Refusal, ConflictError and LedgerError."""
        self._queue.reserve(len(wanted))
        return self._ledger.runs.accept(wanted)


def _prepared(prepare: Prepare) -> Submission | CosmosBatchError:
    try:
        return prepare()
    except CosmosBatchError as exc:
        return exc


def _settle(future: asyncio.Future[Done], answered: Answer) -> None:
    if future.done():  # the client went away
        return
    if isinstance(answered, Done):
        future.set_result(answered)
    else:
        future.set_exception(answered)
