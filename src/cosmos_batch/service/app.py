"""The application: routes, middleware, error answers and the page, put together for one service."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.service.fast_path import Shortcut
from cosmos_batch.service.http import faults
from cosmos_batch.service.http.body_limits import BodyBounds
from cosmos_batch.service.http.errors import ErrorBody
from cosmos_batch.service.middleware import RequestMiddleware
from cosmos_batch.service.routes import batches, files, queue, stats, system, videos
from cosmos_batch.service.state import AppState

PAGE = Path(__file__).parent / "web"
THREADS = 8  # requests that are answered at the same time; more would only queue for the ledger
ORDER_SECONDS = 1.0  # between two looks at the open orders

_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "Refused, with every problem"},
    "5XX": {"model": ErrorBody, "description": "Not possible at the moment"},
}


def make_app(service: AppState) -> FastAPI:
    """The application that serves a service."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        task = asyncio.create_task(_mind_orders(service))
        yield
        task.cancel()
        service.streams.close()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title="cosmos-batch",
        version=version("cosmos-batch"),
        summary="Controlled videos out of NVIDIA Cosmos Transfer, in bulk.",
        lifespan=lifespan,
        responses=_REFUSALS,
        docs_url=None,  # FastAPI's loads its scripts from elsewhere: into a page that has the session's cookie
        redoc_url=None,
    )
    app.state.service = service
    for routes in (videos, files, batches, queue, stats, system):
        app.include_router(routes.router)
    app.add_api_route("/docs", _documentation, include_in_schema=False)
    faults.install(app, service.journal)
    app.mount("/", StaticFiles(directory=PAGE, html=True, check_dir=False), name="page")
    app.add_middleware(Shortcut, service=service)
    app.add_middleware(BodyBounds, limits=service.serving.limits)
    app.add_middleware(RequestMiddleware, service=service)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _documentation() -> FileResponse:
    """The page that shows /openapi.json."""
    return FileResponse(PAGE / "docs.html")


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, without the answer that FastAPI gives to bad input and this application does not."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for path in made["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}, {}]
        app.openapi_schema = made
    return app.openapi_schema


async def _mind_orders(service: AppState) -> None:
    """Take batches further, for as long as the server lives."""
    while True:
        try:
            await asyncio.to_thread(service.orders.advance)
        except CosmosBatchError as exc:
            service.journal("troubled", trouble=str(exc))
        except Exception as exc:
            service.journal("unexpected_error", trace="".join(traceback.format_exception(exc)))
        await asyncio.sleep(ORDER_SECONDS)
