"""Query parameters that select runs: the same for a list, an outline and a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query

from cosmos_batch.formats.common import TAG_NAME
from cosmos_batch.ledger import Filter, State
from cosmos_batch.scoring.scores import ScoreCondition
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.routes.paging import CreatedAfter, CreatedBefore
from cosmos_batch.service.runs.present import STATUS

SCORE = r"^[a-z][a-z0-9_]{0,63}$"
"""The form of a score's name."""

Sort = Annotated[str, Query(pattern=SCORE, description="created, or the name of a score")]


async def run_filter(
    status: Annotated[
        str, Query(description="queued, in_progress, completed or failed; several with commas")
    ] = "",
    state: Annotated[str, Query(description="exact states; several with commas")] = "",
    control: Annotated[str, Query(max_length=32)] = "",
    rating: Annotated[int | None, Query(ge=0, le=5, description="0: not rated")] = None,
    score: Annotated[
        list[str] | None,
        Query(max_length=10, description="a condition on a score, such as edge_f1>0.5; all must hold"),
    ] = None,
    q: Annotated[str, Query(max_length=500, description="part of the prompt or the id")] = "",
    batch_id: Annotated[str, Query(max_length=64)] = "",
    sweep: Annotated[str, Query(max_length=128)] = "",
    tag: Annotated[list[str] | None, Query(description="NAME:VALUE; several must all hold")] = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
) -> Filter:
    """Make the filter of a request. Raises ApiError. Async: FastAPI runs plain functions in a thread each."""
    return Filter(
        states=_states(status, state),
        text=q,
        control=control,
        batch_job_id=batch_id,
        rating=rating,
        scores=_score_conditions(score or ()),
        sweep=sweep,
        tags=_tags(tag or ()),
        created_after=created_after,
        created_before=created_before,
    )


RunFilter = Annotated[Filter, Depends(run_filter)]


def _score_conditions(texts: Sequence[str]) -> tuple[ScoreCondition, ...]:
    """Parse the conditions on scores of a filter. Raises ApiError."""
    try:
        return tuple(ScoreCondition.parse(text) for text in texts)
    except ValueError as exc:
        raise ApiError(400, "invalid_value", str(exc), param="score") from exc


def _states(status: str, state: str) -> tuple[State, ...]:
    """Parse the states of a filter; none means all. Raises ApiError for an unknown word."""
    wanted: list[State] = []
    for word in filter(None, status.split(",")):
        found = [each for each, shown in STATUS.items() if shown == word]
        if not found:
            raise ApiError(400, "invalid_value", f"{word[:40]!r} is not a status", param="status")
        wanted += found
    for word in filter(None, state.split(",")):
        try:
            wanted.append(State(word))
        except ValueError as exc:
            raise ApiError(400, "invalid_value", f"{word[:40]!r} is not a state", param="state") from exc
    return tuple(dict.fromkeys(wanted))


def _tags(texts: Sequence[str]) -> dict[str, str]:
    """Parse the tags of a filter. Raises ApiError for one that is no tag, or two values of one name."""
    wanted: dict[str, str] = {}
    for text in texts:
        name, mark, value = text.partition(":")
        if not mark or not TAG_NAME.fullmatch(name):
            raise ApiError(400, "invalid_value", f"{text[:60]!r} is no tag: write NAME:VALUE", param="tag")
        if wanted.setdefault(name, value) != value:
            raise ApiError(400, "invalid_value", f"the tag {name} has two values: no run has both", param="tag")
    return wanted
