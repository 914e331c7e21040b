"""What the user is told of errors of a database."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger.database.messages import ledger_errors


class DriverError(Exception):
    """An error as psycopg raises it."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "message", "meaning"),
    [
        ("40P01", "deadlock detected", "waited for each other"),
        ("55P03", "canceling statement due to lock timeout", "locked by another process"),
        ("57P01", "terminating connection due to administrator command", "try again in a moment"),
        ("53100", "could not extend file: No space left on device", "disk of its server is full"),
        ("42703", "column runs.cause does not exist", "another version of cosmos-batch"),
        (None, "connection failed: Connection refused", "cannot be reached"),
        (None, 'FATAL: database "x" does not exist', "createdb"),
        (None, 'FATAL: password authentication failed for user "x"', "refuses this user or password"),
        (None, "FATAL: sorry, too many clients already", "max_connections"),
    ],
)
def test_error_of_postgres_names_its_cause(sqlstate: str | None, message: str, meaning: str) -> None:
    with pytest.raises(LedgerError, match=meaning) as raised, ledger_errors("postgresql://host/name"):
        raise OperationalError("SELECT 1", None, DriverError(message, sqlstate))

    assert message in str(raised.value)
