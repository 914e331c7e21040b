"""/v1/videos: OpenAI's Videos API, and what a queue needs beside it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import FileResponse, Response

from cosmos_batch.ledger import Filter, RunRecord, RunWithAttempt, State, Submission
from cosmos_batch.ledger.runs import shape_label
from cosmos_batch.media.untrusted import kind_of as kind_of_file
from cosmos_batch.run import Priority
from cosmos_batch.service.http.errors import ApiError, not_found
from cosmos_batch.service.routes.paging import After, Limit, Order, Playable
from cosmos_batch.service.routes.request_body import read_asked
from cosmos_batch.service.runs.present import STATUS
from cosmos_batch.service.runs.thumbnails import thumbnail
from cosmos_batch.service.schemas.videos import (
    PriorityRequest,
    RatingRequest,
    Video,
    VideoAttempt,
    VideoChange,
    VideoDeleted,
    VideoHistory,
    VideoList,
    VideoRequest,
)
from cosmos_batch.service.state import AppState, AppStateDep, Caller

router = APIRouter(prefix="/v1/videos", tags=["videos"])

Id = Annotated[str, Path(max_length=128)]
KEY_LENGTH = 255
Key = Annotated[str | None, Header(max_length=KEY_LENGTH, description="the same key makes the same run, once")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": VideoRequest.model_json_schema(ref_template="#/components/schemas/{model}")
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
async def create_video(request: Request, here: AppStateDep, who: Caller, idempotency_key: Key = None) -> Response:
    """Ask for a video. The answer comes when the run is in the ledger."""
    return await submit(request, here, who, idempotency_key or "")


async def submit(request: Request, here: AppState, who: str, idempotency_key: str) -> Response:
    """Take a run in. Raises Refusal, InputError, ConflictError, StorageError and LedgerError."""
    body = await read_asked(request, here.uploads, who)
    if not here.intake.knows(body):
        await asyncio.to_thread(here.intake.look_into, body)
    key = f"key:{who}:{idempotency_key}" if idempotency_key else ""

    def prepare() -> Submission:
        taken = here.intake.run_of(body, f"video_{secrets.token_hex(12)}")
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() if key else ""
        return Submission(run=taken.run, facts=taken.facts, owner=who, key=key, digest=digest)

    done = await here.submitter.submit(prepare)
    if done.accepted.new:
        look = RunWithAttempt(_fresh(done.submission, done.accepted.at), None)
    else:
        look = await asyncio.to_thread(_look, here, done.accepted.run)
    if not here.outlook.fresh:
        await asyncio.to_thread(here.outlook.read)
    return Response(here.views.video(look).model_dump_json(), media_type="application/json")


def _fresh(taken: Submission, now: float) -> RunRecord:
    """A run that was taken in just now, as the ledger has it."""
    return RunRecord(
        run=taken.run,
        fingerprint="",
        state=State.QUEUED,
        cause="submitted",
        failures=0,
        predicted_seconds=None,
        created=now,
        updated=now,
        owner=taken.owner,
        batch_job_id="",
        custom_id="",
        shape_label=shape_label(taken.run),
        facts=taken.facts,
        cancel_requested=False,
        not_before=0.0,
        crashes=0,
        lone_crashes=0,
        rating=None,
    )


@router.get("", response_model=VideoList)
def list_videos(
    here: AppStateDep,
    after: After = "",
    limit: Limit = 20,
    order: Order = "desc",
    status: Annotated[
        str, Query(description="queued, in_progress, completed or failed; several with commas")
    ] = "",
    state: Annotated[str, Query(description="exact states; several with commas")] = "",
    control: Annotated[str, Query(max_length=32)] = "",
    rating: Annotated[int | None, Query(ge=1, le=5)] = None,
    q: Annotated[str, Query(max_length=500, description="part of the prompt or the id")] = "",
    batch_id: Annotated[str, Query(max_length=64)] = "",
) -> VideoList:
    """List videos."""
    wanted = Filter(states=_states(status, state), text=q, control=control, batch_job_id=batch_id, rating=rating)
    page = here.ledger.queries.page(wanted, after=after, limit=limit, newest_first=order == "desc")
    data = [here.views.video(look) for look in page.runs]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=ends[0], last_id=ends[1], has_more=page.more)


def _states(status: str, state: str) -> tuple[State, ...]:
    """The states that are asked for; none: all. Raises Refusal for words that are none."""
    wanted: list[State] = []
    for word in filter(None, status.split(",")):
        found = [each for each, shown in STATUS.items() if shown == word]
        if not found:
            raise ApiError(400, "invalid_value", f"{word[:40]!r} is no status", param="status")
        wanted += found
    for word in filter(None, state.split(",")):
        try:
            wanted.append(State(word))
        except ValueError as exc:
            raise ApiError(400, "invalid_value", f"{word[:40]!r} is no state", param="state") from exc
    return tuple(dict.fromkeys(wanted))


@router.get("/{video_id}", response_model=Video)
def get_video(video_id: Id, here: AppStateDep) -> Video:
    """One video."""
    return here.views.video(_look(here, video_id))


def _look(here: AppState, video_id: str) -> RunWithAttempt:
    look = here.ledger.queries.get_run(video_id)
    if look is None:
        raise not_found("video", video_id)
    return look


@router.head("/{video_id}/content", include_in_schema=False)
@router.get("/{video_id}/content", response_class=FileResponse)
def get_content(
    video_id: Id,
    here: AppStateDep,
    variant: Annotated[str, Query(max_length=64)] = "video",
    playable: Playable = False,
) -> Response:
    """The video, its input, one of its controls (control_edge, ...), a thumbnail, or its record (run)."""
    record = _look(here, video_id).record
    path = here.views.file_of(record, variant)
    if path is None:
        there = ", ".join(here.views.variants(record)) or "none yet"
        raise ApiError(404, "not_found", f"the video {video_id} has no {variant[:64]!r}; there is: {there}")
    settled = record.state is State.SUCCEEDED and variant != "run"
    headers = {"Cache-Control": "private, max-age=3600" if settled else "no-cache"}
    if variant == "thumbnail":
        return Response(thumbnail(path), media_type="image/png", headers=headers)
    if playable and variant != "run":
        path = here.previews.of(path)
    kind = "application/json" if variant == "run" else kind_of_file(path)[1]
    name = f"{record.id}.{variant}{path.suffix}" if variant != "video" else f"{record.id}.mp4"
    return FileResponse(path, media_type=kind, headers=headers, filename=name, content_disposition_type="inline")


@router.get("/{video_id}/history", response_model=VideoHistory)
def get_history(video_id: Id, here: AppStateDep) -> VideoHistory:
    """What happened to a run: every change of its state, and every attempt at it."""
    _look(here, video_id)
    changes = here.ledger.queries.history(video_id)
    return VideoHistory(
        data=[VideoChange(id=c.id, state=c.state, reason=c.reason, at=c.at) for c in changes],
        attempts=[VideoAttempt.model_validate(_attempt(a)) for a in here.ledger.queries.attempts(video_id)],
    )


def _attempt(attempt: Any) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in VideoAttempt.model_fields}


@router.delete("/{video_id}", response_model=VideoDeleted)
def delete_video(video_id: Id, here: AppStateDep) -> VideoDeleted:
    """Delete a video and its record. One that waits or runs is to be cancelled first."""
    state = _look(here, video_id).record.state
    if not here.ledger.runs.delete([video_id]):
        raise _wrong_state(video_id, state, "cancel it first")
    shutil.rmtree(here.videos / video_id, ignore_errors=True)
    return VideoDeleted(id=video_id)


@router.post("/{video_id}/cancel", response_model=Video)
def cancel_video(video_id: Id, here: AppStateDep, who: Caller) -> Video:
    """Cancel a run: at once if it waits, at its next step if it runs."""
    state = here.ledger.runs.cancel([video_id], _by("cancelled", who)).get(video_id)
    if state is None:
        raise not_found("video", video_id)
    if state in (State.SUCCEEDED, State.FAILED, State.BLOCKED):
        raise _wrong_state(video_id, state, "it has ended already")
    return here.views.video(_look(here, video_id))


@router.post("/{video_id}/retry", response_model=Video)
def retry_video(video_id: Id, here: AppStateDep, who: Caller) -> Video:
    """Queue a run again that failed, was blocked or was cancelled."""
    state = _look(here, video_id).record.state
    if not here.ledger.runs.retry([video_id], _by("asked for again", who)):
        raise _wrong_state(video_id, state, "only what failed, was blocked or was cancelled is tried again")
    return here.views.video(_look(here, video_id))


@router.post("/{video_id}/priority", response_model=Video)
def set_priority(video_id: Id, asked: PriorityRequest, here: AppStateDep) -> Video:
    """Move a run that has not ended to another place in the queue."""
    state = _look(here, video_id).record.state
    named = asked.priority
    priority = Priority[named.upper()].value if isinstance(named, str) else named
    if not here.ledger.runs.reprioritise([video_id], priority):
        raise _wrong_state(video_id, state, "it has ended already")
    return here.views.video(_look(here, video_id))


@router.post("/{video_id}/rating", response_model=Video)
def set_rating(video_id: Id, asked: RatingRequest, here: AppStateDep) -> Video:
    """Keep what somebody thinks of a video."""
    if not here.ledger.runs.rate(video_id, asked.rating):
        raise not_found("video", video_id)
    return here.views.video(_look(here, video_id))


def _by(what: str, who: str) -> str:
    return f"{what} by {who}" if who else what


def _wrong_state(video_id: str, state: State, remedy: str) -> ApiError:
    return ApiError(409, "wrong_state", f"the state of the video {video_id} is {state}: {remedy}")
