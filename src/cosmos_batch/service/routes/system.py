"""What is served, sessions for browsers, health, events and metrics."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from cosmos_batch.errors import LedgerError
from cosmos_batch.planning.batch_keys import resolved_defaults
from cosmos_batch.service.http.auth import COOKIE
from cosmos_batch.service.schemas.system import Health, Model, ModelList, ServerInfo
from cosmos_batch.service.state import AppState, AppStateDep

router = APIRouter(tags=["server"])


@router.get("/v1/models", response_model=ModelList)
def list_models(here: AppStateDep) -> ModelList:
    """The one model that is served."""
    return ModelList(data=[Model(id=here.served.model)])


@router.get("/v1/server", response_model=ServerInfo)
def get_server(request: Request, here: AppStateDep) -> ServerInfo:
    """What a page needs to know before it asks for anything else. Needs no key."""
    signed_in = here.gate.who(request) is not None
    limits = here.serving.limits
    return ServerInfo(
        version=version("cosmos-batch"),
        keys_required=here.gate.keys_required,
        signed_in=signed_in,
        model=here.served.model,
        engine=here.served.traits.name,
        controls=sorted(here.served.traits.controls),
        defaults=asdict(resolved_defaults(here.served.traits)),
        roots=[str(folder) for folder in here.roots.folders] if signed_in else [],
        limits={name: float(value) for name, value in asdict(limits).items()},
    )


@router.post("/v1/session", status_code=204)
def open_session(request: Request, here: AppStateDep) -> Response:
    """Exchange a key for a cookie, for what a browser loads without being able to send a header."""
    name = here.gate.admit(request)
    response = Response(status_code=204)
    if here.gate.keys_required:
        here.gate.open_session(request, name, response)
    return response


@router.delete("/v1/session", status_code=204)
def close_session(request: Request, here: AppStateDep) -> Response:
    """Forget the cookie."""
    here.gate.check_site(request)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.get("/v1/events", response_class=StreamingResponse)
async def get_events(
    here: AppStateDep,
    video: Annotated[str, Query(max_length=128, description="events of this run alone")] = "",
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="go on after this event")] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """Server-sent events: changes of state, denoising steps, and the queue."""
    known = last_event_id or ""
    resumed = min(int(known), 2**63 - 1) if known.isascii() and known.isdigit() else after
    stream = await here.streams.subscribe(video, resumed)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Health)
async def get_health(request: Request, here: AppStateDep) -> Response:
    """Whether the service can do its work. Needs no key, but says what is wrong to none but those who have one."""
    health = await asyncio.to_thread(_health, here)
    if health.status == "ok" or here.gate.who(request) is None:
        health.detail = ""
    return JSONResponse(health.model_dump(), 503 if health.status == "unavailable" else 200)


def _health(here: AppState) -> Health:
    try:
        outlook = here.outlook.read()
        with tempfile.TemporaryFile(dir=here.uploads.folder) as stream:
            stream.write(b"1")
            stream.flush()
    except LedgerError as exc:
        return Health(status="unavailable", detail=str(exc))
    except OSError as exc:
        return Health(status="unavailable", detail=f"the server's folder cannot be written: {exc.strerror}")
    trouble = outlook.trouble
    return Health(status="degraded" if trouble else "ok", detail=trouble)


@router.get("/metrics", response_class=Response)
def get_metrics(here: AppStateDep) -> Response:
    """Prometheus metrics."""
    return Response(here.metrics.text(), media_type=here.metrics.content_type)
