"""Retry of calls while the ledger or a folder is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import LedgerError, StorageError

_T = TypeVar("_T")
ATTEMPTS = 30  # about two minutes
FIRST_WAIT = 0.2  # seconds; doubled after every attempt
LONGEST_WAIT = 5.0  # seconds


def retry_until_available(
    call: Callable[[], _T], log: EventLog, sleep: Callable[[float], None] = time.sleep
) -> _T:
    """Return the result of a call, repeated while it raises LedgerError or StorageError.

    Raises the error of the last attempt.
    """

    def report(state: RetryCallState) -> None:
        assert state.outcome is not None
        log("troubled", trouble=str(state.outcome.exception()), tries=state.attempt_number)

    retrying = Retrying(
        retry=retry_if_exception_type((LedgerError, StorageError)),
        wait=wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=stop_after_attempt(ATTEMPTS),
        before_sleep=report,
        sleep=sleep,
        reraise=True,
    )
    return retrying(call)
