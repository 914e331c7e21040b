"""Problems and warnings in answers."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from cosmos_batch.errors import Problem


class FieldProblem(BaseModel):
    """One problem of a request, or one warning about it."""

    line: int | None = None
    field: str
    found: str
    message: str
    remedy: str


def field_problems(problems: Iterable[Problem]) -> list[FieldProblem]:
    """Make the objects of problems or warnings."""
    return [
        FieldProblem(line=p.line, field=p.field, found=p.found, message=p.message, remedy=p.remedy)
        for p in problems
    ]
