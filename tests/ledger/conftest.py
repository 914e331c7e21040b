"""A ledger on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from cosmos_batch.ledger import Ledger
from tests.support.ledger import Clock, OpenLedger


@pytest.fixture
def clock() -> Clock:
    """A clock at 1000 seconds."""
    return Clock()


@pytest.fixture
def open_ledger(place: Path | URL, clock: Clock) -> Iterator[OpenLedger]:
    """Opens a ledger on the database; a second call opens it as another process would."""
    opened: list[Ledger] = []

    def open_() -> Ledger:
        opened.append(Ledger(place, clock))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> Ledger:
    """The ledger."""
    return open_ledger()
