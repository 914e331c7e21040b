"""/v1/batches: OpenAI's Batches API, with endpoint /v1/videos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from cosmos_batch.ledger import BatchJobRecord, BatchJobState, State
from cosmos_batch.service.routes.paging import After, Limit
from cosmos_batch.service.schemas.batches import (
    BatchCounts,
    BatchError,
    BatchErrors,
    BatchList,
    BatchObject,
    BatchRequest,
)
from cosmos_batch.service.state import AppState, AppStateDep, Caller

router = APIRouter(prefix="/v1/batches", tags=["batches"])

Id = Annotated[str, Path(max_length=64)]


@router.post("", response_model=BatchObject)
def create_batch(asked: BatchRequest, here: AppStateDep, who: Caller) -> BatchObject:
    """Ask for every line of an uploaded file."""
    return shape_of(here.orders.create(asked, who), here)


@router.get("", response_model=BatchList)
def list_batches(here: AppStateDep, after: After = "", limit: Limit = 20) -> BatchList:
    """List batches, newest first."""
    found = here.ledger.batch_jobs.page(after=after, limit=limit + 1)
    data = [shape_of(order, here) for order in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return BatchList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{batch_id}", response_model=BatchObject)
def get_batch(batch_id: Id, here: AppStateDep) -> BatchObject:
    """One batch."""
    return shape_of(here.orders.get(batch_id), here)


@router.post("/{batch_id}/cancel", response_model=BatchObject)
def cancel_batch(batch_id: Id, here: AppStateDep) -> BatchObject:
    """Cancel those of a batch's runs that have not ended."""
    return shape_of(here.orders.cancel(batch_id), here)


def shape_of(order: BatchJobRecord, here: AppState) -> BatchObject:
    """An order as OpenAI's batch object."""
    ended = int(order.ended) if order.ended is not None else None
    errors = [BatchError.model_validate(dict(error)) for error in order.errors]
    return BatchObject(
        id=order.id,
        endpoint=order.endpoint,
        errors=BatchErrors(data=errors) if errors else None,
        input_file_id=order.input_file,
        completion_window=order.window,
        status=order.state,
        output_file_id=order.output_file or None,
        error_file_id=order.error_file or None,
        created_at=int(order.created),
        in_progress_at=int(order.started) if order.started is not None else None,
        cancelling_at=int(order.cancelling) if order.cancelling is not None else None,
        completed_at=ended if order.state is BatchJobState.COMPLETED else None,
        failed_at=ended if order.state is BatchJobState.FAILED else None,
        cancelled_at=ended if order.state is BatchJobState.CANCELLED else None,
        request_counts=_counts(order, here),
        metadata=dict(order.details) or None,
    )


def _counts(order: BatchJobRecord, here: AppState) -> BatchCounts:
    states = here.ledger.batch_jobs.counts(order.id)
    runs = sum(states.values())
    total = max(order.total, runs)
    rejected = total - runs if order.total else 0
    unmade = sum(states.get(state, 0) for state in (State.FAILED, State.BLOCKED, State.CANCELLED))
    return BatchCounts(total=total, completed=states.get(State.SUCCEEDED, 0), failed=unmade + rejected)
