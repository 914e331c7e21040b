"""The FastAPI application of one server: routes, middleware, error responses and the web page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import traceback
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.service.http.body_limits import BodyLimits
from cosmos_batch.service.http.errors import ErrorBody, install_error_handlers
from cosmos_batch.service.middleware import RequestMiddleware
from cosmos_batch.service.routes import batches, files, queue, runs, stats, system, videos
from cosmos_batch.service.schemas.videos import video_request_schema
from cosmos_batch.service.state import AppState

PAGE = Path(__file__).parent / "web"
THREADS = 8  # requests answered at the same time; more would only wait for the ledger's lock
BATCH_JOBS_SECONDS = 1.0  # between two rounds over the open batch jobs
PREDICTION_SECONDS = 10.0  # between two looks at the runs that have arrived

_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "Refused, with every problem"},
    "5XX": {"model": ErrorBody, "description": "Not possible at the moment"},
}


class ServiceApp(FastAPI):
    """The ASGI application of one server."""

    def __init__(self, app_state: AppState) -> None:
        super().__init__(
            title="cosmos-batch",
            version=version("cosmos-batch"),
            summary="Controlled videos out of NVIDIA Cosmos Transfer, in bulk.",
            lifespan=_lifespan,
            responses=_ERROR_RESPONSES,
            docs_url=None,  # FastAPI's page loads scripts from other hosts, with access to the session cookie
            redoc_url=None,
            openapi_url=None,  # FastAPI renders the document anew for each request
        )
        self.app_state = app_state
        for routes in (videos, runs, files, batches, queue, stats, system):
            self.include_router(routes.router)
        self.add_api_route("/docs", _docs_page, include_in_schema=False)
        self.add_api_route("/openapi.json", self._openapi_document, include_in_schema=False)
        install_error_handlers(self, app_state.monitoring.log)
        self.mount("/", StaticFiles(directory=PAGE, html=True, check_dir=False), name="page")
        self.add_middleware(BodyLimits, limits=app_state.settings.limits)
        self.add_middleware(RequestMiddleware, state=app_state)

    def openapi(self) -> dict[str, Any]:
        """Make the OpenAPI document, without FastAPI's 422 response: invalid input is answered with 400."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, summary=self.summary, routes=self.routes
            )
            for path in document["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            document["components"]["schemas"]["VideoRequest"] = video_request_schema()
            document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}, {}]
            self.openapi_schema = document
        return self.openapi_schema

    @cached_property
    def _openapi_json(self) -> bytes:
        return json.dumps(self.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    def _openapi_document(self) -> Response:
        """Serve the OpenAPI document."""
        return Response(self._openapi_json, media_type="application/json")


@contextlib.asynccontextmanager
async def _lifespan(app: ServiceApp) -> AsyncIterator[None]:
    """Advance the batch jobs and the prediction while the server runs; close the event streams when it stops."""
    state = app.app_state
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    tasks = [
        asyncio.create_task(_repeat(state, state.batch_jobs.advance, BATCH_JOBS_SECONDS)),
        asyncio.create_task(_repeat(state, state.predictor.update, PREDICTION_SECONDS)),
    ]
    yield
    for task in tasks:
        task.cancel()
    state.monitoring.streams.close()
    state.files.pools.close()
    state.files.previews.close()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _docs_page() -> FileResponse:
    """Serve the page that shows /openapi.json."""
    return FileResponse(PAGE / "docs.html")


async def _repeat(state: AppState, action: Callable[[], None], seconds: float) -> None:
    """Do something in a thread, every so many seconds; log errors and continue."""
    log = state.monitoring.log
    while True:
        try:
            await asyncio.to_thread(action)
        except CosmosBatchError as exc:
            log("troubled", trouble=str(exc))
        except Exception as exc:
            log("unexpected_error", trace="".join(traceback.format_exception(exc)))
        await asyncio.sleep(seconds)
