"""/v1/batches: OpenAI's Batches API, with endpoint /v1/videos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from cosmos_batch.ledger import BatchJobRecord, BatchJobState, State
from cosmos_batch.service.http.json_body import StrictJsonRoute
from cosmos_batch.service.routes.paging import After, Limit
from cosmos_batch.service.schemas.batches import (
    BatchCounts,
    BatchError,
    BatchErrors,
    BatchList,
    BatchObject,
    BatchRequest,
)
from cosmos_batch.service.state import AppState, AppStateDep, KeyNameDep

router = APIRouter(prefix="/v1/batches", tags=["batches"], route_class=StrictJsonRoute)

Id = Annotated[str, Path(max_length=64)]


@router.post("", response_model=BatchObject)
def create_batch(body: BatchRequest, app: AppStateDep, key_name: KeyNameDep) -> BatchObject:
    """Create a batch: every line of an uploaded file becomes a run."""
    return _batch_object(app.batch_jobs.create(body, key_name), app)


@router.get("", response_model=BatchList)
def list_batches(app: AppStateDep, after: After = "", limit: Limit = 20) -> BatchList:
    """List batches, newest first."""
    found = app.ledger.batch_jobs.page(after=after, limit=limit + 1)
    data = [_batch_object(job, app) for job in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return BatchList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{batch_id}", response_model=BatchObject)
def get_batch(batch_id: Id, app: AppStateDep) -> BatchObject:
    """Get a batch."""
    return _batch_object(app.batch_jobs.get(batch_id), app)


@router.post("/{batch_id}/cancel", response_model=BatchObject)
def cancel_batch(batch_id: Id, app: AppStateDep) -> BatchObject:
    """Cancel the runs of a batch that have not ended."""
    return _batch_object(app.batch_jobs.cancel(batch_id), app)


def _batch_object(job: BatchJobRecord, app: AppState) -> BatchObject:
    """Make OpenAI's batch object of a batch job."""
    ended = int(job.ended) if job.ended is not None else None
    errors = [BatchError.model_validate(dict(error)) for error in job.errors]
    return BatchObject(
        id=job.id,
        endpoint=job.endpoint,
        errors=BatchErrors(data=errors) if errors else None,
        input_file_id=job.input_file,
        completion_window=job.window,
        status=job.state,
        output_file_id=job.output_file or None,
        error_file_id=job.error_file or None,
        created_at=int(job.created),
        in_progress_at=int(job.started) if job.started is not None else None,
        cancelling_at=int(job.cancelling) if job.cancelling is not None else None,
        completed_at=ended if job.state is BatchJobState.COMPLETED else None,
        failed_at=ended if job.state is BatchJobState.FAILED else None,
        cancelled_at=ended if job.state is BatchJobState.CANCELLED else None,
        request_counts=_counts(job, app),
        metadata=dict(job.details) or None,
    )


def _counts(job: BatchJobRecord, app: AppState) -> BatchCounts:
    states = app.ledger.batch_jobs.counts(job.id)
    runs = sum(states.values())
    total = max(job.total, runs)
    rejected = total - runs if job.total else 0
    failed = sum(states.get(state, 0) for state in (State.FAILED, State.BLOCKED, State.CANCELLED))
    return BatchCounts(total=total, completed=states.get(State.SUCCEEDED, 0), failed=failed + rejected)
