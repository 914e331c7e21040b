"""Models and server information, browser sessions, events, health and metrics."""

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
from cosmos_batch.service.schemas.system import Health, ModelList, ModelObject, ServerInfo
from cosmos_batch.service.server_info import (
    PRIORITIES,
    PRIORITY_LEVELS,
    control_infos,
    id_pattern,
    score_infos,
    setting_infos,
    state_infos,
)
from cosmos_batch.service.state import AppState, AppStateDep, KeyNameDep

router = APIRouter(tags=["server"])


@router.get("/v1/models", response_model=ModelList)
def list_models(app: AppStateDep) -> ModelList:
    """List the one model of the server."""
    return ModelList(data=[ModelObject(id=app.engine.model)])


@router.get("/v1/server", response_model=ServerInfo)
def get_server(request: Request, app: AppStateDep) -> ServerInfo:
    """Get the settings of the server that a client needs first. Needs no key."""
    signed_in = app.access.authenticator.key_name(request) is not None
    limits = app.settings.limits
    return ServerInfo(
        version=version("cosmos-batch"),
        keys_required=app.access.authenticator.keys_required,
        signed_in=signed_in,
        model=app.engine.model,
        engine=app.engine.traits.name,
        controls=sorted(app.engine.traits.controls),
        defaults=asdict(resolved_defaults(app.engine.traits)),
        own_settings=sorted(app.engine.traits.own),
        roots=[str(folder) for folder in app.files.allowed.folders] if signed_in else [],
        limits={name: float(value) for name, value in asdict(limits).items()},
        states=state_infos(),
        control_infos=control_infos(app.engine.traits),
        scores=score_infos(),
        settings=setting_infos(app.engine.traits),
        priorities=PRIORITIES,
        priority_levels=PRIORITY_LEVELS,
        id_pattern=id_pattern(),
    )


@router.post("/v1/session", status_code=204)
def open_session(request: Request, app: AppStateDep) -> Response:
    """Exchange a key for a cookie, for requests of a browser that cannot carry a header."""
    name = app.access.authenticator.authenticate(request)
    response = Response(status_code=204)
    if app.access.authenticator.keys_required:
        app.access.authenticator.open_session(request, name, response)
    return response


@router.delete("/v1/session", status_code=204)
def close_session(request: Request, app: AppStateDep) -> Response:
    """Delete the cookie."""
    app.access.authenticator.check_site(request)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.get("/v1/events", response_class=StreamingResponse)
async def get_events(
    app: AppStateDep,
    key_name: KeyNameDep,
    video: Annotated[str, Query(max_length=128, description="events of this run only")] = "",
    after: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="begin with the changes after this id")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """Stream server-sent events: state changes, denoising steps, and the queue."""
    header = last_event_id or ""
    resumed = min(int(header), 2**63 - 1) if header.isascii() and header.isdigit() else after
    stream = await app.monitoring.streams.subscribe(video, resumed, key_name)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Health)
async def get_health(request: Request, app: AppStateDep) -> Response:
    """Get the health of the service. Needs no key; `detail` needs one."""
    health = await asyncio.to_thread(_health, app)
    if health.status == "ok" or app.access.authenticator.key_name(request) is None:
        health = Health(status=health.status)
    return JSONResponse(health.model_dump(), 503 if health.status == "unavailable" else 200)


def _health(app: AppState) -> Health:
    try:
        trouble = app.queue_view.read().trouble
        with tempfile.TemporaryFile(dir=app.files.uploads.folder) as stream:
            stream.write(b"1")
            stream.flush()
    except LedgerError as exc:
        return Health(status="unavailable", detail=str(exc))
    except OSError as exc:
        return Health(status="unavailable", detail=f"the server's folder cannot be written: {exc.strerror}")
    return Health(status="degraded" if trouble else "ok", detail=trouble)


@router.get("/metrics", response_class=Response)
def get_metrics(app: AppStateDep) -> Response:
    """Get the metrics in Prometheus' text format."""
    return Response(app.monitoring.metrics.text(), media_type=app.monitoring.metrics.content_type)
