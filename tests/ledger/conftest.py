"""A ledger on a clock that is set by hand, on SQLite and, if TEST_POSTGRES_URL is set, on Postgres.

TEST_POSTGRES_URL is a URL of SQLAlchemy with the right to create databases:
postgresql+psycopg://user@127.0.0.1:5432/postgres. Every test gets a database of its own.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from cosmos_batch.ledger import Ledger
from tests.support.ledger import Clock, OpenLedger

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")


@pytest.fixture
def clock() -> Clock:
    """A clock at 1000 seconds."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"] if POSTGRES else ["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | URL]:
    """The place of a database of this test."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.sqlite"
        return
    server = make_url(POSTGRES)
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


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
