"""Which HTTP answer an error of ours is."""

from __future__ import annotations

import errno
import secrets
import traceback

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import (
    ConflictError,
    CosmosBatchError,
    InputError,
    LedgerError,
    MediaError,
    PlanError,
    Problem,
    StorageError,
)
from cosmos_batch.formats.problems import path_of, shown
from cosmos_batch.service.http.errors import ApiError, answer, bad_input

_LATER = {"Retry-After": "5"}


def refusal_of(error: Exception, journal: EventLog) -> ApiError:
    """The refusal that an error amounts to."""
    match error:
        case ApiError():
            return error
        case InputError():
            return bad_input(error.problems)
        case ConflictError():
            return ApiError(409, "conflict", str(error))
        case LedgerError():
            return ApiError(503, "ledger_unavailable", str(error), headers=_LATER)
        case StorageError():
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
            return ApiError(507 if full else 503, "storage_unavailable", str(error), headers=_LATER)
        case MediaError() | PlanError():
            return ApiError(400, "invalid_value", str(error))
        case CosmosBatchError() | OSError():
            return ApiError(503, "unavailable", str(error), headers=_LATER)
        case HTTPException():
            return ApiError(error.status_code, "refused", str(error.detail))
        case RequestValidationError():
            return _malformed(error)
    return _unexpected(error, journal)


def _malformed(error: RequestValidationError) -> ApiError:
    problems = [
        Problem("", None, path_of(each["loc"][1:]), shown(each.get("input")), each["msg"], "")
        for each in error.errors()
    ]
    return bad_input(problems)


def _unexpected(error: Exception, journal: EventLog) -> ApiError:
    """An error that is no message of ours: its traceback goes to the log, under a number that the client gets."""
    number = secrets.token_hex(6)
    journal("unexpected_error", number=number, trace="".join(traceback.format_exception(error)))
    return ApiError(500, "internal_error", f"this should not have happened; the server's log has it as {number}")


def _nothing_there(request: Request) -> ApiError:
    """No route takes the request, so that it came to the files of the page, and was none of them."""
    message = f"there is no {request.method} {request.url.path[:200]} here; /docs lists all that there is"
    return ApiError(404, "not_found", message)


def install(app: FastAPI, journal: EventLog) -> None:
    """Let every error of the application be answered in the one form."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.status_code in (404, 405):
            return answer(_nothing_there(request))
        return answer(refusal_of(error, journal))

    for kind in (CosmosBatchError, RequestValidationError, HTTPException, OSError, Exception):
        app.add_exception_handler(kind, handle)
