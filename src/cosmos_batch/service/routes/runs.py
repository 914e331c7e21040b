"""/v1/runs: many runs at once: outlines of long lists, look-ups, actions and exports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse

from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.json_body import StrictJsonRoute
from cosmos_batch.service.routes.paging import Order
from cosmos_batch.service.routes.run_filter import SCORE, RunFilter, Sort
from cosmos_batch.service.runs.actions import Refusal, RunActions
from cosmos_batch.service.runs.exports import FORMATS
from cosmos_batch.service.runs.outlines import Grouping, histogram, outline
from cosmos_batch.service.schemas.runs import (
    BulkAction,
    BulkOutcome,
    BulkResult,
    Export,
    ExportRequest,
    Histogram,
    LookUp,
    Outline,
    RunLabelCounts,
)
from cosmos_batch.service.schemas.videos import VideoList
from cosmos_batch.service.state import AppStateDep, KeyNameDep

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=StrictJsonRoute)

MOST_IN_OUTLINE = 100_000
"""Runs of an outline."""

_GROUPS = r"^(sweep|video|prompt|seed|tag:.{1,200})?$"

Group = Annotated[str, Query(pattern=_GROUPS, description="sweep, video, prompt, seed or tag:NAME")]


@router.get("/outline", response_model=Outline)
def get_outline(
    app: AppStateDep,
    wanted: RunFilter,
    order: Order = "desc",
    sort: Sort = "created",
    group_by: Group = "",
    columns: Group = "",
    limit: Annotated[int, Query(ge=1, le=MOST_IN_OUTLINE)] = MOST_IN_OUTLINE,
) -> Response:
    """Get the order and the groups of all runs that pass the filter, without what else is known of them."""
    rows = app.ledger.queries.outline(
        wanted,
        keys=[key for key in (group_by, columns) if key],
        limit=limit + 1,
        newest_first=order == "desc",
        score="" if sort == "created" else sort,
    )
    grouping = Grouping(group_by, columns)
    found = outline(rows[:limit], grouping, app.runs.names, has_more=len(rows) > limit)
    return Response(found.model_dump_json(), media_type="application/json")


@router.get("/histogram", response_model=Histogram)
def get_histogram(
    app: AppStateDep,
    wanted: RunFilter,
    of: Annotated[str, Query(pattern=SCORE, description="the name of a score")],
    bins: Annotated[int, Query(ge=1, le=100)] = 24,
) -> Histogram:
    """Get the distribution of a score over the runs that pass the filter."""
    return histogram(of, app.ledger.queries.scores_of(of, wanted), bins)


@router.get("/labels", response_model=RunLabelCounts)
def get_labels(app: AppStateDep) -> RunLabelCounts:
    """Get the sweeps and tags that runs have."""
    found = app.ledger.queries.labels()
    tags = {name: dict(values) for name, values in found.tags.items()}
    return RunLabelCounts(sweeps=dict(found.sweeps), tags=tags)


@router.post("/lookup", response_model=VideoList)
def look_up(body: LookUp, app: AppStateDep) -> VideoList:
    """Get the videos of these ids, in the order of the request; unknown ids are left out."""
    found = app.ledger.queries.with_attempts(body.ids)
    data = [app.runs.presenter.video(found[id_]) for id_ in dict.fromkeys(body.ids) if id_ in found]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=ends[0], last_id=ends[1], has_more=False)


@router.post("/bulk", response_model=BulkResult)
def act(body: BulkAction, app: AppStateDep, key_name: KeyNameDep) -> BulkResult:
    """Do an action to many runs. A run that is refused holds up no other: see its outcome."""
    ids = list(dict.fromkeys(body.ids))
    refused = _act(app.runs.actions, body, ids, key_name)
    data = [_outcome(id_, refused.get(id_)) for id_ in ids]
    return BulkResult(action=body.action, done=len(ids) - len(refused), data=data)


def _act(actions: RunActions, body: BulkAction, ids: list[str], key_name: str) -> dict[str, Refusal]:
    if body.action == "cancel":
        return actions.cancel(ids, key_name)
    if body.action == "retry":
        return actions.retry(ids, key_name)
    if body.action == "delete":
        return actions.delete(ids)
    if body.action == "rate":
        return actions.rate(ids, body.rating)
    return actions.reprioritise(ids, 0 if body.priority is None else body.priority)


def _outcome(run_id: str, refusal: Refusal | None) -> BulkOutcome:
    if refusal is None:
        return BulkOutcome(id=run_id, done=True, state=None, reason=None)
    return BulkOutcome(id=run_id, done=False, state=refusal.state, reason=refusal.reason)


@router.post("/exports", response_model=Export)
def make_export(body: ExportRequest, app: AppStateDep) -> Export:
    """Ask for an export of runs, which GET downloads."""
    ids = list(dict.fromkeys(body.ids))
    export_id = app.runs.exports.add(ids, body.format)
    return Export(id=export_id, format=body.format, runs=len(ids), url=f"/v1/runs/exports/{export_id}")


@router.get("/exports/{export_id}", response_class=StreamingResponse)
def get_export(export_id: Annotated[str, Path(max_length=64)], app: AppStateDep) -> StreamingResponse:
    """Download an export."""
    order = app.runs.exports.get(export_id)
    if order is None:
        message = f"there is no export {export_id!r} here: one is kept for an hour; ask for it again"
        raise ApiError(404, "not_found", message)
    name = {"Content-Disposition": f'attachment; filename="runs.{order.format}"'}
    return StreamingResponse(app.runs.exports.content(order), media_type=FORMATS[order.format], headers=name)
