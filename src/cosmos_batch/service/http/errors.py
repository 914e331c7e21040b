"""Errors of the API: `ApiError`, the table from exceptions to HTTP statuses, and OpenAI's error object."""

from __future__ import annotations

import errno
import re
import secrets
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import (
    ConflictError,
    CosmosBatchError,
    InputError,
    LedgerError,
    MediaError,
    PlanError,
    Problem,
    RowError,
    StorageError,
)
from cosmos_batch.formats.problems import path_of, printable, shown
from cosmos_batch.service.schemas.problems import FieldProblem, field_problems

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_FOLDERS = re.compile(r"(?<![\w.:/-])/(?:[^\s/;,:'\"()]+/)+")  # of an absolute path
_RETRY_LATER = {"Retry-After": "5"}
_SHOWN_PROBLEMS = 20  # problems named in the message; `problems` of the error object has `MAX_PROBLEMS`
_FIELD_CHARS = 200  # of a field's name, which is the client's
_TEXT_CHARS = 1000  # of any other text of a problem
MAX_PROBLEMS = 100
"""Problems in a response, at most: a body of a few megabytes can have a hundred thousand."""


class ApiError(CosmosBatchError):
    """A refused request, with its HTTP status and error code."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.problems = tuple(problems)
        self.headers = dict(headers or {})


class ErrorObject(BaseModel):
    """OpenAI's error object, extended by `problems`."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    problems: list[FieldProblem] = []


class ErrorBody(BaseModel):
    """The body of every response of status 400 and above."""

    error: ErrorObject


def bad_input(problems: Sequence[Problem]) -> ApiError:
    """Make the error of a request with these problems; its size has a bound."""
    bounded = [_bounded(problem) for problem in problems[:MAX_PROBLEMS]]
    message = "; ".join(str(problem) for problem in bounded[:_SHOWN_PROBLEMS])
    if (more := len(problems) - _SHOWN_PROBLEMS) > 0:
        message += f"; and {more:,} more"
    param = next((problem.field for problem in bounded if problem.field), None)
    return ApiError(400, "invalid_value", message, param=param, problems=bounded)


def _bounded(problem: Problem) -> Problem:
    """Shorten the texts of a problem."""
    return replace(
        problem,
        field=_shortened(problem.field, _FIELD_CHARS),
        found=_shortened(problem.found, _TEXT_CHARS),
        message=_shortened(problem.message, _TEXT_CHARS),
        remedy=_shortened(problem.remedy, _TEXT_CHARS),
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def not_found(what: str, name: str) -> ApiError:
    """Make the error of an unknown name."""
    return ApiError(404, "not_found", f"there is no {what} {name[:200]!r} here")


def stopping() -> ApiError:
    """Make the error of a request that the stop of the server interrupts."""
    message = "the server stops; send the request again once it runs"
    return ApiError(503, "stopping", message, headers=_RETRY_LATER)


def api_error_of(error: Exception, log: EventLog) -> ApiError:
    """Map an exception to the `ApiError` that answers it; log an unexpected one with its traceback."""
    match error:
        case ApiError():
            return error
        case InputError():
            return bad_input(error.problems)
        case ConflictError():
            return ApiError(409, "conflict", str(error))
        case RowError():
            return ApiError(400, "invalid_value", "the request has a value that the ledger cannot store")
        case LedgerError():
            return _unavailable("ledger_unavailable", error, log)
        case StorageError():
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
            return _unavailable("storage_unavailable", error, log, 507 if full else 503)
        case MediaError() | PlanError():
            return ApiError(400, "invalid_value", str(error))
        case CosmosBatchError() | OSError():
            return _unavailable("unavailable", error, log)
        case ClientDisconnect():
            return ApiError(400, "disconnected", "the connection ended before the body of the request did")
        case HTTPException():
            return ApiError(error.status_code, "refused", str(error.detail))
        case RequestValidationError():
            return _malformed(error)
    return _unexpected(error, log)


def _unavailable(code: str, error: Exception, log: EventLog, status: int = 503) -> ApiError:
    """Log what is not possible at the moment; the client gets it without the server's folders."""
    log("unavailable", code=code, error=str(error))
    return ApiError(status, code, _FOLDERS.sub("", str(error)), headers=_RETRY_LATER)


def _malformed(error: RequestValidationError) -> ApiError:
    problems = [
        Problem("", None, printable(path_of(each["loc"][1:])), shown(each.get("input")), each["msg"], "")
        for each in error.errors()
    ]
    return bad_input(problems)


def _unexpected(error: Exception, log: EventLog) -> ApiError:
    """Log the traceback under a number that the client gets."""
    number = secrets.token_hex(6)
    log("unexpected_error", number=number, trace="".join(traceback.format_exception(error)))
    return ApiError(500, "internal_error", f"unexpected error; the server's log has the details under {number}")


def error_object(error: ApiError) -> dict[str, Any]:
    """Make OpenAI's error object of an error."""
    problems = field_problems(error.problems)
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    made = ErrorObject(message=str(error), type=kind, param=error.param, code=error.code, problems=problems)
    return made.model_dump()


def error_response(error: ApiError) -> JSONResponse:
    """Make the HTTP response of an error."""
    return JSONResponse({"error": error_object(error)}, error.status, error.headers)


def install_error_handlers(app: FastAPI, log: EventLog) -> None:
    """Make the application answer every exception with OpenAI's error object."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.status_code in (404, 405):
            return error_response(_no_route(request))
        return error_response(api_error_of(error, log))

    foreseen = (CosmosBatchError, RequestValidationError, ClientDisconnect, HTTPException, OSError)
    for kind in (*foreseen, Exception):
        app.add_exception_handler(kind, handle)


def _no_route(request: Request) -> ApiError:
    """Make the error of a request that neither a route nor a file of the page answers."""
    message = f"there is no {request.method} {request.scope['path'][:200]} here; /docs lists all requests"
    return ApiError(404, "not_found", message)
