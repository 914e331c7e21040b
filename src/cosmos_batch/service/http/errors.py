"""What the server answers where it does not do what it was asked: OpenAI's error object, and every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

from cosmos_batch.errors import CosmosBatchError, Problem

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(CosmosBatchError):
    """A request that is not done, with the HTTP status that says so."""

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


class FieldProblem(BaseModel):
    """One thing wrong in a request."""

    line: int | None = None
    field: str
    found: str
    message: str
    remedy: str


class ErrorObject(BaseModel):
    """OpenAI's error object, with every problem beside the message."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    problems: list[FieldProblem] = []


class ErrorBody(BaseModel):
    """The body of every answer of status 400 and above."""

    error: ErrorObject


def bad_input(problems: Sequence[Problem]) -> ApiError:
    """The refusal of a request with these problems."""
    message = "; ".join(str(problem) for problem in problems[:20])
    param = next((problem.field for problem in problems if problem.field), None)
    return ApiError(400, "invalid_value", message, param=param, problems=problems)


def not_found(what: str, name: str) -> ApiError:
    """The refusal of a name that stands for nothing here."""
    return ApiError(404, "not_found", f"there is no {what} {name[:200]!r} here")


def error_of(refusal: ApiError) -> dict[str, Any]:
    """The error object of a refusal."""
    shown = [
        FieldProblem(line=p.line, field=p.field, found=p.found, message=p.message, remedy=p.remedy)
        for p in refusal.problems
    ]
    kind = _TYPES.get(refusal.status, "invalid_request_error" if refusal.status < 500 else "server_error")
    error = ErrorObject(message=str(refusal), type=kind, param=refusal.param, code=refusal.code, problems=shown)
    return error.model_dump()


def answer(refusal: ApiError) -> JSONResponse:
    """The HTTP answer that a refusal is."""
    return JSONResponse({"error": error_of(refusal)}, refusal.status, refusal.headers)
