"""What every request passes: who asks and how often, what is logged and counted, what headers answers carry."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.service.http.errors import answer
from cosmos_batch.service.http.faults import refusal_of
from cosmos_batch.service.state import AppState

_BOOT = secrets.token_hex(4)  # tells this server's requests from those of the one before
_numbers = itertools.count(1)

_OPEN = ("/v1/server", "/v1/session")  # their routes see to it themselves
_GUARDED = ("/v1/", "/metrics")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    b"script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_CONTENT_POLICY = (
    b"default-src 'none'; media-src 'self'; img-src 'self'; sandbox"  # an upload is never a page of ours
)


class RequestMiddleware:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, service: AppState) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, send, self._service)
        self._service.metrics.begun()
        try:
            await self._admit(scope)
            await self._app(scope, receive, passage.send)
        except (CosmosBatchError, OSError) as exc:
            if passage.status:
                raise
            await answer(refusal_of(exc, self._service.journal))(scope, receive, passage.send)
        finally:
            passage.close()

    async def _admit(self, scope: Scope) -> None:
        """Raises Refusal for who may not ask, and LedgerError."""
        path = scope["path"]
        if not path.startswith(_GUARDED):
            return
        request = Request(scope)
        client = request.client.host if request.client else ""
        gate = self._service.gate
        self._service.rates.spend(client)
        if path in _OPEN:
            return
        who = gate.admit(request) if gate.fresh else await asyncio.to_thread(gate.admit, request)
        scope.setdefault("state", {})["who"] = who


class _Passage:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send, service: AppState) -> None:
        self.status = 0
        self._scope = scope
        self._send = send
        self._service = service
        self._started = time.monotonic()
        self._id = f"{_BOOT}-{next(_numbers)}"

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, with our headers on its first."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            ours = (b"x-request-id", self._id.encode()), (b"content-security-policy", _policy(self._scope["path"]))
            message["headers"] = [*message.get("headers", ()), *_HEADERS, *ours]
            self._count()
        await self._send(message)

    def _count(self) -> None:
        route = getattr(self._scope.get("route"), "path", "other")
        seconds = time.monotonic() - self._started
        self._service.metrics.answered(self._scope["method"], route, self.status, seconds)

    def close(self) -> None:
        """Write the request down."""
        self._service.metrics.ended()
        self._service.journal(
            "request",
            id=self._id,
            method=self._scope["method"],
            path=self._scope["path"],
            status=self.status,
            seconds=round(time.monotonic() - self._started, 4),
            key=self._scope.get("state", {}).get("who", ""),
        )


def _policy(path: str) -> bytes:
    return _CONTENT_POLICY if path.startswith("/v1/") else _PAGE_POLICY
