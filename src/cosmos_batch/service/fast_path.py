"""The way of a submission past the routing, which takes longer than all that is done for one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.service.http.errors import answer
from cosmos_batch.service.http.faults import refusal_of
from cosmos_batch.service.routes.videos import KEY_LENGTH, create_video, router, submit
from cosmos_batch.service.state import AppState

_ROUTE = next(route for route in router.routes if getattr(route, "endpoint", None) is create_video)
_PATH = router.prefix


class Shortcut:
    """ASGI middleware: answers POST /v1/videos as its route would, in half the time."""

    def __init__(self, app: ASGIApp, service: AppState) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        ours = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == _PATH
        request = Request(scope, receive) if ours else None
        if request is None or len(key := request.headers.get("idempotency-key", "")) > KEY_LENGTH:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE  # which the metrics name
        try:
            who = scope.get("state", {}).get("who", "")
            response = await submit(request, self._service, who, key)
        except (CosmosBatchError, OSError) as exc:
            response = answer(refusal_of(exc, self._service.journal))
        await response(scope, receive, send)
