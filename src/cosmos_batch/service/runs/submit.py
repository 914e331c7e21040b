"""Group commit of submissions: those that arrive at the same time share one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cosmos_batch.errors import LedgerError, RowError
from cosmos_batch.ledger import Ledger, State, Submission, SubmitResult
from cosmos_batch.ledger.models import WAITING
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.budgets import Budgets

GROUP_SIZE = 500  # submissions in one transaction, at most
GATHER_SECONDS = 0.001  # waiting time for more submissions; a transaction costs as much as ten runs in it
_GATHER_TIMES = 5  # waits before a transaction at most, while more submissions arrive
_COUNT_SECONDS = 1.0  # for which a count of the waiting runs is used

Prepare = Callable[[], Submission]
"""Makes the submission of a request, without I/O that waits. Raises InputError and ApiError."""


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """A submission that the ledger has stored."""

    submission: Submission
    result: SubmitResult


SubmitOutcome = StoredSubmission | Exception

_Pending = tuple[Prepare, asyncio.Future[StoredSubmission]]


class QueueLimit:
    """Bounds the number of waiting runs."""

    def __init__(self, states: Callable[[], dict[State, int]], max_runs: int) -> None:
        """`states`: counts the runs of the ledger by state; `max_runs`: that may wait."""
        self._states = states
        self._max_runs = max_runs
        self._counted = -_COUNT_SECONDS
        self._waiting = 0

    def reserve(self, runs: int) -> None:
        """Reserve room for runs. Raises ApiError where there is none, and LedgerError."""
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            states = self._states()
            self._waiting = sum(states.get(state, 0) for state in WAITING)
            self._counted = time.monotonic()
        if self._waiting + runs > self._max_runs:
            raise ApiError(
                429,
                "queue_full",
                f"{self._waiting:,} runs are waiting, and the limit is {self._max_runs:,}; submit again later",
                headers={"Retry-After": "60"},
            )
        self._waiting += runs


class Submitter:
    """Writes submissions to the ledger. `submit` belongs to the event loop, `submit_all` to any thread."""

    def __init__(self, ledger: Ledger, max_runs: int) -> None:
        """`max_runs`: runs that may wait."""
        self._ledger = ledger
        self._limit = QueueLimit(ledger.queries.states, max_runs)
        self._budgets = Budgets(ledger)
        self._pending: list[_Pending] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, prepare: Prepare) -> StoredSubmission:
        """Submit one run; return when it is in the ledger.

        Raises InputError, ApiError, ConflictError, LedgerError, and what `prepare` raises unforeseen.
        """
        future: asyncio.Future[StoredSubmission] = asyncio.get_running_loop().create_future()
        self._pending.append((prepare, future))
        if not self._writing:
            self._writing = True
            task = asyncio.create_task(self._write_pending())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _write_pending(self) -> None:
        """Write the pending submissions, group by group, until there are none."""
        try:
            while self._pending:
                await self._gather()
                group, self._pending = self._pending[:GROUP_SIZE], self._pending[GROUP_SIZE:]
                await self._settle(group)
        finally:
            self._writing = False

    async def _settle(self, group: Sequence[_Pending]) -> None:
        """Submit a group and settle each of its futures, whatever is raised."""
        try:
            outcomes = await asyncio.to_thread(self._submit_group, [prepare for prepare, _ in group])
        except Exception as exc:
            outcomes = [exc] * len(group)
        except BaseException:  # the server stops
            for _, future in group:
                future.cancel()
            raise
        for (_, future), outcome in zip(group, outcomes, strict=True):
            _resolve(future, outcome)

    async def _gather(self) -> None:
        """Wait `GATHER_SECONDS` at a time while more submissions arrive."""
        for _ in range(_GATHER_TIMES):
            known = len(self._pending)
            await asyncio.sleep(GATHER_SECONDS)
            if len(self._pending) == known:
                return

    def _submit_group(self, prepares: Sequence[Prepare]) -> list[SubmitOutcome]:
        prepared = [self._prepared(prepare) for prepare in prepares]
        written = iter(self._write([each for each in prepared if isinstance(each, Submission)]))
        return [next(written) if isinstance(each, Submission) else each for each in prepared]

    def _write(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        """Write all in one transaction; where one of them is refused or raises, each in one of its own."""
        if not submissions:
            return []
        try:
            self._limit.reserve(len(submissions))
            results = self._ledger.runs.accept(submissions)
            return [StoredSubmission(each, result) for each, result in zip(submissions, results, strict=True)]
        except Exception as exc:
            whole = isinstance(exc, ApiError | LedgerError) and not isinstance(exc, RowError)
            if whole:  # the queue is full, or the ledger cannot be used
                return [exc] * len(submissions)
            return [exc] if len(submissions) == 1 else [self._write_one(each) for each in submissions]

    def _write_one(self, submission: Submission) -> SubmitOutcome:
        try:
            return StoredSubmission(submission, self._ledger.runs.accept([submission])[0])
        except Exception as exc:  # an error of this submission alone
            return exc

    def submit_all(self, submissions: Sequence[Submission]) -> list[SubmitResult]:
        """Submit many runs in this thread, all or none. Raises ApiError, ConflictError and LedgerError."""
        for each in submissions:
            self._budgets.check(each)
        self._limit.reserve(len(submissions))
        return self._ledger.runs.accept(submissions)

    def _prepared(self, prepare: Prepare) -> Submission | Exception:
        try:
            submission = prepare()
            self._budgets.check(submission)
        except Exception as exc:  # foreseen or not, it answers this request alone
            return exc
        return submission


def _resolve(future: asyncio.Future[StoredSubmission], outcome: SubmitOutcome) -> None:
    if future.done():  # the client has disconnected
        return
    if isinstance(outcome, StoredSubmission):
        future.set_result(outcome)
    elif isinstance(outcome, StopIteration):  # a future refuses it
        future.set_exception(RuntimeError(f"unexpected StopIteration: {outcome}"))
    else:
        future.set_exception(outcome)
