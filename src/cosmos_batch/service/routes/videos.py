"""/v1/videos: OpenAI's Videos API, with cancel, retry, priority, rating and history."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import FileResponse, Response

from cosmos_batch.ledger import RunRecord, RunWithAttempt, State, Submission
from cosmos_batch.ledger.runs import shape_label
from cosmos_batch.media.untrusted import file_type as kind_of_file
from cosmos_batch.service.http.errors import ApiError, not_found
from cosmos_batch.service.http.file_content import FileContent
from cosmos_batch.service.http.json_body import LARGE_BYTES, StrictJsonRoute
from cosmos_batch.service.routes.paging import After, Limit, Order, Playable
from cosmos_batch.service.routes.request_body import read_body
from cosmos_batch.service.routes.run_filter import RunFilter, Sort
from cosmos_batch.service.runs.actions import Refusal
from cosmos_batch.service.runs.thumbnails import thumbnail
from cosmos_batch.service.schemas.videos import (
    VIDEO_REQUEST,
    PriorityRequest,
    RatingRequest,
    Video,
    VideoAttempt,
    VideoChange,
    VideoDeleted,
    VideoHistory,
    VideoList,
)
from cosmos_batch.service.state import AppState, AppStateDep, KeyNameDep
from cosmos_batch.spans import has_span

router = APIRouter(prefix="/v1/videos", tags=["videos"], route_class=StrictJsonRoute)

Id = Annotated[str, Path(max_length=128)]
IdempotencyKey = Annotated[str | None, Header(max_length=255, description="the same key makes the same run, once")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": VIDEO_REQUEST,
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["prompt"],
                    "properties": {
                        "prompt": {"type": "string"},
                        "input_reference": {"type": "string", "format": "binary"},
                        "execution_config": {"type": "string", "description": "a JSON object"},
                    },
                }
            },
        },
    }
}


@router.post("", response_model=Video, openapi_extra=_BODY)
async def create_video(
    request: Request, app: AppStateDep, key_name: KeyNameDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Submit a run. The response is sent once the run is in the ledger."""
    body = await read_body(request, app.files.uploads, app.files.pools.probes, key_name)
    parser, run_id = app.runs.parser, f"video_{secrets.token_hex(12)}"
    if not parser.is_cached(body):
        await app.files.pools.probes.run(partial(parser.probe_videos, body))
    early = await asyncio.to_thread(parser.parse, body, run_id) if _is_large(request) else None
    key = f"key:{key_name}:{idempotency_key}" if idempotency_key else ""

    def prepare() -> Submission:
        parsed = early or parser.parse(body, run_id)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() if key else ""
        return Submission(
            run=parsed.run,
            facts=parsed.facts,
            warnings=parsed.warnings,
            owner=key_name,
            key=key,
            digest=digest,
        )

    submitted = await app.runs.submitter.submit(prepare)
    if submitted.result.new:
        found = RunWithAttempt(_new_record(submitted.submission, submitted.result.at), None)
    else:
        found = await asyncio.to_thread(_find, app, submitted.result.run)
    if not app.queue_view.fresh:
        await asyncio.to_thread(app.queue_view.read)
    video = app.runs.presenter.video(found)
    return Response(video.model_dump_json(), media_type="application/json")


def _is_large(request: Request) -> bool:
    """Tell whether a body may take long to parse: its submission is then not parsed among those of others."""
    length = request.headers.get("content-length", "")
    return not (length.isdecimal() and int(length) <= LARGE_BYTES)


def _new_record(submission: Submission, now: float) -> RunRecord:
    """Make the record of a run that was submitted just now, without reading the ledger."""
    return RunRecord(
        run=submission.run,
        fingerprint="",
        state=State.QUEUED,
        cause="submitted",
        failures=0,
        predicted_seconds=None,
        created=now,
        updated=now,
        owner=submission.owner,
        batch_job_id="",
        custom_id="",
        shape_label=shape_label(submission.run),
        facts=submission.facts,
        warnings=submission.warnings,
        cancel_requested=False,
        not_before=0.0,
        crashes=0,
        lone_crashes=0,
        rating=None,
        scores={},
        tries=0,
        acceptance={},
    )


@router.get("", response_model=VideoList)
def list_videos(
    app: AppStateDep,
    wanted: RunFilter,
    after: After = "",
    limit: Limit = 20,
    order: Order = "desc",
    sort: Sort = "created",
) -> VideoList:
    """List videos."""
    by = "" if sort == "created" else sort
    page = app.ledger.queries.page(wanted, after=after, limit=limit, newest_first=order == "desc", score=by)
    data = [app.runs.presenter.video(found) for found in page.runs]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=ends[0], last_id=ends[1], has_more=page.more)


@router.get("/{video_id}", response_model=Video)
def get_video(video_id: Id, app: AppStateDep) -> Video:
    """Get a video."""
    return app.runs.presenter.video(_find(app, video_id))


def _find(app: AppState, video_id: str) -> RunWithAttempt:
    found = app.ledger.queries.get_run(video_id)
    if found is None:
        raise not_found("video", video_id)
    return found


@router.head("/{video_id}/content", include_in_schema=False)
@router.get("/{video_id}/content", response_class=FileResponse)
async def get_content(
    video_id: Id,
    app: AppStateDep,
    variant: Annotated[str, Query(max_length=64)] = "video",
    playable: Playable = False,
) -> Response:
    """Get the video, its input, one of its controls (control_edge, ...), a thumbnail, or its record (run)."""
    record, path = await asyncio.to_thread(_file_of, app, video_id, variant)
    final = record.state is State.SUCCEEDED and variant != "run"
    headers = {"Cache-Control": "private, max-age=3600" if final else "no-cache"}
    if variant == "thumbnail":
        picture = await app.files.pools.thumbnails.run(partial(thumbnail, path))
        return Response(picture, media_type="image/jpeg", headers=headers)
    if (playable and variant != "run") or has_span(path):
        path = await app.files.playable(path)
    kind = "application/json" if variant == "run" else (await asyncio.to_thread(kind_of_file, path))[1]
    name = f"{record.id}{path.suffix}" if variant == "video" else f"{record.id}.{variant}{path.suffix}"
    return FileContent(path, media_type=kind, headers=headers, filename=name, content_disposition_type="inline")


def _file_of(app: AppState, video_id: str, variant: str) -> tuple[RunRecord, FilePath]:
    """Find a run and one of its files. Raises ApiError and LedgerError."""
    record = _find(app, video_id).record
    path = app.runs.presenter.file_of(record, variant)
    if path is None:
        available = ", ".join(app.runs.presenter.variants(record)) or "none yet"
        raise ApiError(404, "not_found", f"the video {video_id} has no {variant[:64]!r}; available: {available}")
    return record, path


@router.get("/{video_id}/history", response_model=VideoHistory)
def get_history(video_id: Id, app: AppStateDep) -> VideoHistory:
    """Get the history of a run: every change of its state, and every attempt."""
    _find(app, video_id)
    changes = app.ledger.queries.history(video_id)
    return VideoHistory(
        data=[VideoChange(id=c.id, state=c.state, reason=c.reason, at=c.at) for c in changes],
        attempts=[VideoAttempt.model_validate(_attempt(a)) for a in app.ledger.queries.attempts(video_id)],
    )


def _attempt(attempt: Any) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in VideoAttempt.model_fields}


@router.delete("/{video_id}", response_model=VideoDeleted)
def delete_video(video_id: Id, app: AppStateDep) -> VideoDeleted:
    """Delete a video and its record. A waiting or running one must be cancelled first."""
    _accepted(app.runs.actions.delete([video_id]), video_id)
    return VideoDeleted(id=video_id)


@router.post("/{video_id}/cancel", response_model=Video)
def cancel_video(video_id: Id, app: AppStateDep, key_name: KeyNameDep) -> Video:
    """Cancel a run: at once if it waits, at its next step if it runs; 409 if its video is being published."""
    _accepted(app.runs.actions.cancel([video_id], key_name), video_id)
    return app.runs.presenter.video(_find(app, video_id))


@router.post("/{video_id}/retry", response_model=Video)
def retry_video(video_id: Id, app: AppStateDep, key_name: KeyNameDep) -> Video:
    """Queue a failed, blocked or cancelled run again."""
    _accepted(app.runs.actions.retry([video_id], key_name), video_id)
    return app.runs.presenter.video(_find(app, video_id))


@router.post("/{video_id}/priority", response_model=Video)
def set_priority(video_id: Id, body: PriorityRequest, app: AppStateDep) -> Video:
    """Change the priority of a run that has not ended."""
    _accepted(app.runs.actions.reprioritise([video_id], body.priority), video_id)
    return app.runs.presenter.video(_find(app, video_id))


@router.post("/{video_id}/rating", response_model=Video)
def set_rating(video_id: Id, body: RatingRequest, app: AppStateDep) -> Video:
    """Set the rating of a video; null removes it."""
    _accepted(app.runs.actions.rate([video_id], body.rating), video_id)
    return app.runs.presenter.video(_find(app, video_id))


def _accepted(refused: Mapping[str, Refusal], video_id: str) -> None:
    """Raise ApiError where a run was refused what was asked for."""
    refusal = refused.get(video_id)
    if refusal is None:
        return
    if refusal.state is None:
        raise not_found("video", video_id)
    message = f"the state of the video {video_id} is {refusal.state}: {refusal.reason}"
    raise ApiError(409, "wrong_state", message)
