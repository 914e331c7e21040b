"""Readable errors of the ledger's databases: what happened, and what would do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from cosmos_batch.errors import LedgerError, RowError

_OTHER_VERSION = "has been changed by another version of cosmos-batch; end this process and start that version"
_LOCKED = "has been locked by another process for too long; end that process, or wait for it"
_DEADLOCK = "had two writers that waited for each other, and nothing of this change was stored; try it again"
_UNREACHABLE = "cannot be reached; start its server, or correct the host and the port of the URL"
_ENDED = "has ended the connection: its server stops, starts, or changes its role; try again in a moment"
_CROWDED = "has no connection left; raise max_connections of its server, or use fewer processes"
_REFUSED = "refuses this user or password; correct the URL, or the server's pg_hba.conf"
_MISSING = "does not exist; create it (createdb NAME), or correct the name in the URL"
_FORBIDDEN = "does not let this user do that; make the user the owner of the database"
_STANDBY = "is a read-only copy; name the primary server in the URL"
_FULL = "cannot grow: the disk of its server is full; free some space"

# Part of a message of SQLite -> what the user should know and do.
_SQLITE = (
    ("malformed", "is damaged; move it away: finished outputs are found again by their run.json"),
    ("not a database", "is not a ledger; move it away: finished outputs are found again by their run.json"),
    ("locked", _LOCKED),
    ("readonly", "cannot be written; make it and its folder writable"),
    ("read-only", "cannot be written; make it and its folder writable"),
    ("no such table", _OTHER_VERSION),
    ("no such column", _OTHER_VERSION),
    ("no column named", _OTHER_VERSION),
    ("unable to open", "cannot be opened; make its folder exist and be writable"),
    ("full", "cannot grow: the disk is full; free some space"),
    ("disk i/o", "cannot be read or written: the disk reports an error, is full or is gone"),
)

# Beginning of Postgres' SQLSTATE -> the same; https://www.postgresql.org/docs/15/errcodes-appendix.html
_POSTGRES = (
    ("40", _DEADLOCK),
    ("55P03", _LOCKED),
    ("42P01", _OTHER_VERSION),
    ("42703", _OTHER_VERSION),
    ("42501", _FORBIDDEN),
    ("25006", _STANDBY),
    ("53100", _FULL),
    ("53300", _CROWDED),
    ("57P", _ENDED),
    ("08", _UNREACHABLE),
    ("28", _REFUSED),
    ("3D000", _MISSING),
)

# Part of a message of a connection that Postgres has refused: these carry no SQLSTATE.
_CONNECTING = (
    ("too many clients", _CROWDED),
    ("remaining connection slots", _CROWDED),
    ("authentication failed", _REFUSED),
    ("no password supplied", _REFUSED),
    ("no pg_hba.conf entry", _REFUSED),
    ("does not exist", _MISSING),
    ("starting up", _ENDED),
    ("shutting down", _ENDED),
    ("terminating connection", _ENDED),
    ("server closed the connection", _ENDED),
    ("", _UNREACHABLE),
)


@contextmanager
def ledger_errors(name: str) -> Iterator[None]:
    """Turn database errors into a LedgerError with a remedy; `name` is that of the database."""
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as exc:  # the driver refuses a value
        raise RowError(f"the ledger {name} cannot store a value: {exc}") from exc
    except SQLAlchemyError as exc:
        origin = exc.orig if isinstance(exc, DBAPIError) else exc
        if isinstance(exc, DataError | IntegrityError) or not isinstance(exc, DBAPIError):
            raise RowError(f"the ledger {name} cannot store a value: {origin}") from exc
        raise LedgerError(_explain(name, origin)) from exc
    except sqlite3.Error as exc:  # raised while a connection is being set up
        raise LedgerError(_explain(name, exc)) from exc


def locked(name: str) -> LedgerError:
    """Return the error of a writer that waited too long."""
    return LedgerError(f"the ledger {name} {_LOCKED}")


def _explain(name: str, origin: BaseException | None) -> str:
    text = " ".join(str(origin).split())
    meaning = _meaning(origin, text.lower())
    return f"the ledger {name} {meaning} ({text})" if meaning else f"the ledger {name} failed: {text}"


def _meaning(origin: BaseException | None, text: str) -> str | None:
    if isinstance(origin, sqlite3.Error):
        return next((meaning for sign, meaning in _SQLITE if sign in text), None)
    state = getattr(origin, "sqlstate", None)  # of psycopg's errors; None where there is no connection
    if isinstance(state, str):
        return next((meaning for sign, meaning in _POSTGRES if state.startswith(sign)), None)
    return next(meaning for sign, meaning in _CONNECTING if sign in text)
