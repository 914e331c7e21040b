"""Errors of the API: the table from exceptions to HTTP statuses, and error responses."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import (
    ConflictError,
    EngineError,
    InputError,
    LedgerError,
    MediaError,
    PlanError,
    Problem,
    RowError,
    StorageError,
)
from cosmos_batch.service.http.errors import MAX_PROBLEMS, ApiError, api_error_of, bad_input, error_object

PROBLEM = Problem("", 3, "prompt", "''", "is empty", "write one")


def full_disk() -> StorageError:
    error = StorageError("no space left")
    error.__cause__ = OSError(errno.ENOSPC, "no space left")
    return error


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (ApiError(418, "teapot", "no coffee"), 418, "teapot", False),
        (InputError([PROBLEM]), 400, "invalid_value", False),
        (RowError("no value"), 400, "invalid_value", False),
        (MediaError("not a video"), 400, "invalid_value", False),
        (PlanError("does not fit"), 400, "invalid_value", False),
        (ConflictError("taken"), 409, "conflict", False),
        (LedgerError("locked"), 503, "ledger_unavailable", True),
        (StorageError("read-only"), 503, "storage_unavailable", True),
        (full_disk(), 507, "storage_unavailable", True),
        (EngineError("broken"), 503, "unavailable", True),
        (OSError(5, "input/output error"), 503, "unavailable", True),
        (HTTPException(405, "Method Not Allowed"), 405, "refused", False),
    ],
)
def test_status_and_code_of_each_exception(error: Exception, status: int, code: str, retry: bool) -> None:
    made = api_error_of(error, EventLog(io.StringIO()))
    assert (made.status, made.code, "Retry-After" in made.headers) == (status, code, retry)


def test_unexpected_exception_is_logged_under_the_number_in_the_message() -> None:
    lines = io.StringIO()
    made = api_error_of(ZeroDivisionError("secret"), EventLog(lines))
    line = json.loads(lines.getvalue())
    assert (made.status, made.code) == (500, "internal_error")
    assert line["number"] in str(made)
    assert "secret" in line["trace"]
    assert "secret" not in str(made)


def test_error_object_has_every_problem() -> None:
    made = error_object(api_error_of(InputError([PROBLEM, PROBLEM]), EventLog(io.StringIO())))
    assert (made["type"], made["param"], len(made["problems"])) == ("invalid_request_error", "prompt", 2)
    assert made["problems"][0] == {
        "line": 3,
        "field": "prompt",
        "found": "''",
        "message": "is empty",
        "remedy": "write one",
    }


def test_unreadable_ledger_gets_503(client: TestClient, tmp_path: Path) -> None:
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):  # SQLite maps the third file: to cut that ends the process
        (tmp_path / "home" / name).write_bytes(b"not a database, but something else entirely")
    response = client.get("/v1/videos")
    assert (response.status_code, response.json()["error"]["type"]) == (503, "server_error")
    assert "ledger" in response.json()["error"]["message"]
    assert response.headers["retry-after"]
    assert client.get("/healthz").status_code == 503


def test_missing_upload_folder_gets_503_with_the_remedy(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "home" / "uploads").rmdir()
    response = client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"})
    assert response.status_code == 503
    assert "is gone; put it back" in response.json()["error"]["message"]


def test_server_folders_are_logged_and_not_sent() -> None:
    lines = io.StringIO()
    for error in (
        LedgerError("the ledger /srv/home/ledger.sqlite is damaged"),
        StorageError("/srv/home/a b: full"),
    ):
        answer = api_error_of(error, EventLog(lines))
        assert "/srv" not in str(answer)
    assert str(answer) == "a b: full"
    assert lines.getvalue().count("/srv/home/") == 2


def test_error_of_many_problems_is_bounded() -> None:
    problems = [Problem("", None, "k" * 100_000, "f" * 100_000, "m" * 100_000, "r" * 100_000)] * 40_000
    error = error_object(bad_input(problems))
    assert len(error["problems"]) == MAX_PROBLEMS
    assert error["message"].endswith("; and 39,980 more")
    assert len(json.dumps(error)) < 500_000
    assert len(error["param"]) == 200
