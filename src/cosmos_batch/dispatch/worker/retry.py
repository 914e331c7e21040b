"""Waiting for a ledger or a folder that does not answer just now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import LedgerError, StorageError

_T = TypeVar("_T")
TRIES = 30  # some two minutes


def retry_until_available(call: Callable[[], _T], journal: EventLog) -> _T:
    """What a call gives, tried again while it raises LedgerError or StorageError; at last it may raise them."""
    for tries in range(1, TRIES):
        try:
            return call()
        except (LedgerError, StorageError) as exc:
            journal("troubled", trouble=str(exc), tries=tries)
            time.sleep(min(5.0, 0.1 * 2.0**tries))
    return call()
