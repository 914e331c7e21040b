"""Middleware of every request: authentication, rate limit, access log, request metrics, response headers."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.formats.json_text import text_fault
from cosmos_batch.service.http.errors import ApiError, api_error_of, error_response, stopping
from cosmos_batch.service.state import AppState, Monitoring

_BOOT = secrets.token_hex(4)  # makes request ids differ between two starts of a server
_numbers = itertools.count(1)

_OPEN = ("/v1/server", "/v1/session")  # paths whose routes check the key themselves
_GUARDED = ("/v1/", "/metrics")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self'; "
    b"script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_CONTENT_POLICY = (
    b"default-src 'none'; media-src 'self'; img-src 'self'; sandbox"  # a browser runs no script of an upload
)


class RequestMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, state: AppState) -> None:
        self._app = app
        self._access = state.access
        self._monitoring = state.monitoring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(scope, send, self._monitoring)
        self._monitoring.metrics.begin()
        try:
            await self._check_access(scope)
            await self._app(scope, receive, response.send)
        except (CosmosBatchError, OSError) as exc:
            if response.status:
                raise
            await error_response(api_error_of(exc, self._monitoring.log))(scope, receive, response.send)
        except asyncio.CancelledError:  # the server stops, and waits no longer for this request
            if response.status:
                raise
            await error_response(stopping())(scope, receive, response.send)
        finally:
            response.close()

    async def _check_access(self, scope: Scope) -> None:
        """Apply rate limit, check of the host, and authentication. Raises ApiError and LedgerError."""
        path, request, authenticator = scope["path"], Request(scope), self._access.authenticator
        guarded = path.startswith(_GUARDED)
        if guarded:
            self._access.rate_limiter.spend(request.client.host if request.client else "")
        _check_target(scope)
        authenticator.check_host(request)
        if path in _OPEN or not guarded:
            return
        if authenticator.cached:
            name = authenticator.authenticate(request)
        else:
            name = await asyncio.to_thread(authenticator.authenticate, request)
        scope.setdefault("state", {})["key_name"] = name


class _Response:
    """The response to one request: adds headers, counts it, writes the access log."""

    def __init__(self, scope: Scope, send: Send, monitoring: Monitoring) -> None:
        self.status = 0  # 0: not yet begun
        self._scope = scope
        self._send = send
        self._monitoring = monitoring
        self._started = time.monotonic()
        self._id = f"{_BOOT}-{next(_numbers)}"

    async def send(self, message: Message) -> None:
        """Pass a message of the response on; its first gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = (b"x-request-id", self._id.encode()), (b"content-security-policy", _policy(self._scope["path"]))
            message["headers"] = [*message.get("headers", ()), *_HEADERS, *own]
            self._count()
        await self._send(message)

    def _count(self) -> None:
        route = getattr(self._scope.get("route"), "path", "other")
        seconds = time.monotonic() - self._started
        self._monitoring.metrics.count(self._scope["method"], route, self.status, seconds)

    def close(self) -> None:
        """Write the line of the access log."""
        self._monitoring.metrics.end()
        self._monitoring.log(
            "request",
            id=self._id,
            method=self._scope["method"],
            path=self._scope["path"],
            status=self.status,
            seconds=round(time.monotonic() - self._started, 4),
            key=self._scope.get("state", {}).get("key_name", ""),
        )


def _check_target(scope: Scope) -> None:
    """Check path and query of a request. Raises ApiError for text that is not UTF-8, or has a NUL."""
    for name, raw in (("path", scope.get("raw_path") or b""), ("query", scope.get("query_string") or b"")):
        try:
            text = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError as exc:
            raise ApiError(400, "bad_url", f"the {name} of the URL is not UTF-8; encode it as UTF-8") from exc
        if fault := text_fault(text):
            raise ApiError(400, "bad_url", f"the {name} of the URL {fault}; leave it out")


def _policy(path: str) -> bytes:
    return _CONTENT_POLICY if path.startswith("/v1/") else _PAGE_POLICY
