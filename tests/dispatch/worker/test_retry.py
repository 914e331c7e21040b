"""Retry while the ledger or a folder is unavailable."""

from __future__ import annotations

import io
import json

import pytest

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.worker.retry import ATTEMPTS, retry_until_available
from cosmos_batch.errors import EngineError, LedgerError, StorageError


class Flaky:
    """A call that raises the given errors, one after the other, then returns 7."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


def test_call_is_repeated_with_doubled_waits_and_every_failure_is_logged() -> None:
    call = Flaky(LedgerError("locked"), StorageError("full"), *[LedgerError("locked")] * 5)
    stream, waits = io.StringIO(), list[float]()

    assert retry_until_available(call, EventLog(stream), waits.append) == 7

    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["tries"]) for line in lines] == [("troubled", tries) for tries in range(1, 8)]
    assert [line["trouble"] for line in lines[:2]] == ["locked", "full"]


def test_last_error_is_raised() -> None:
    call = Flaky(*[LedgerError(f"locked {number}") for number in range(1, ATTEMPTS + 1)])

    with pytest.raises(LedgerError, match=f"^locked {ATTEMPTS}$"):
        retry_until_available(call, EventLog(io.StringIO()), lambda _seconds: None)

    assert call.calls == ATTEMPTS


def test_other_errors_are_raised_at_once() -> None:
    call = Flaky(EngineError("broken"))

    with pytest.raises(EngineError, match="broken"):
        retry_until_available(call, EventLog(io.StringIO()), lambda _seconds: None)

    assert call.calls == 1
