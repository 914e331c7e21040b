"""Retry of calls while the ledger, a folder or a server is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from cosmos_batch.errors import CosmosBatchError, LedgerError, StorageError

_T = TypeVar("_T")
ATTEMPTS = 30  # about two minutes
FIRST_WAIT = 0.2  # seconds; doubled after every attempt
LONGEST_WAIT = 5.0  # seconds


class EventWriter(Protocol):
    """Writes events to a log; `EventLog` is one."""

    def __call__(self, event: str, **fields: object) -> None:
        """Write an event."""


def retry_until_available(
    call: Callable[[], _T], log: EventWriter, sleep: Callable[[float], None] = time.sleep
) -> _T:
    """Return the result of a call, repeated while it raises LedgerError or StorageError.

    Raises the error of the last attempt.
    """

    def report(error: BaseException, tries: int) -> None:
        log("troubled", trouble=str(error), tries=tries)

    return retry_policy((LedgerError, StorageError), report, sleep=sleep)(call)


def retry_policy(
    errors: tuple[type[CosmosBatchError], ...],
    report: Callable[[BaseException, int], None],
    *,
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> Retrying:
    """The policy of every retry: a function that repeats a call while it raises one of these errors.

    `report` is called before each wait with the error and the number of attempts. The waits double, up to
    `LONGEST_WAIT`; after the last attempt its error is raised.
    """

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, errors)
        report(error, state.attempt_number)

    return Retrying(
        retry=retry_if_exception_type(errors),
        wait=wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=stop_after_attempt(attempts),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )
