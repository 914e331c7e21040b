"""Limits on the encoding, the size and the speed of request bodies."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cosmos_batch.service.http.errors import ApiError, error_response
from cosmos_batch.service.settings import Limits

_DRAINED_BYTES = 16 << 20  # read and discarded after an error, so that the client reads the response
_DRAINED_SECONDS = 1.0
_CARRIES_FILES = ("/v1/files", "/v1/videos")


class BodyLimits:
    """ASGI middleware that bounds the size of a request's body and the time until it is received.

    Compressed bodies are refused: their size would tell nothing of what they hold.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        carries_files = multipart and scope["path"] in _CARRIES_FILES
        limit = self._limits.upload_bytes if carries_files else self._limits.body_bytes
        body = _Body(receive, limit, self._limits, expected=_has_body(headers))
        if error := _refusal(headers, limit):
            await error_response(error)(scope, receive, send)
            await body.drain()
            return
        await self._pass_on(scope, body, send)

    async def _pass_on(self, scope: Scope, body: _Body, send: Send) -> None:
        """Call the application; replace its response where the body exceeds a limit before the response begins."""
        begun = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal begun
            if body.error is None or begun:
                begun = True
                await send(message)

        with contextlib.suppress(ApiError):
            await self._app(scope, body.receive, send_unless_refused)
        if body.error is not None and not begun:
            await error_response(body.error)(scope, body.receive, send)
            await body.drain()


class _Body:
    """The body of one request, while it is received."""

    def __init__(self, receive: Receive, limit: int, limits: Limits, *, expected: bool) -> None:
        """`expected`: the request has a body. Without one nothing can be late, however long the response takes."""
        self.error: ApiError | None = None  # set once a limit is exceeded
        self._receive = receive
        self._limit = limit
        self._limits = limits
        self._waited = 0.0  # seconds for the client; what the application takes does not count
        self._bytes = 0
        self._complete = not expected

    async def receive(self) -> Message:
        """Receive the next message. Raises ApiError where the body is too large or too slow."""
        if self._complete:
            return await self._receive()  # returns when the client disconnects
        if self.error:
            raise self.error
        seconds_left = self._seconds_left()
        if seconds_left <= 0:  # `asyncio.timeout` never fires for a message that is already there
            raise self._refuse(_too_slow(self._bytes))
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds_left):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(_too_slow(self._bytes)) from None
        finally:
            self._waited += time.monotonic() - began
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._bytes > self._limit:
                raise self._refuse(_too_large(self._limit))
        return message

    def _seconds_left(self) -> float:
        allowed = self._limits.body_seconds + self._bytes / self._limits.least_rate
        return max(0.0, min(allowed - self._waited, self._limits.stall_seconds))

    def _refuse(self, error: ApiError) -> ApiError:
        self.error = error
        return error

    async def drain(self) -> None:
        """Read and discard the rest of the body, up to `_DRAINED_BYTES` and `_DRAINED_SECONDS`."""
        left, deadline = _DRAINED_BYTES, time.monotonic() + _DRAINED_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_SECONDS):
                while left > 0 and not self._complete and time.monotonic() < deadline:
                    message = await self._receive()
                    left -= len(message.get("body", b"")) or 1
                    self._complete = not message.get("more_body", False)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _refusal(headers: Headers, limit: int) -> ApiError | None:
    """Find what the headers alone say against a request's body."""
    if (length := headers.get("content-length", "")).isdecimal() and int(length) > limit:
        return _too_large(limit)
    encoding = headers.get("content-encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        message = f"the content encoding {encoding[:80]!r} is not supported; send the body uncompressed"
        return ApiError(415, "unsupported_encoding", message, headers={"Accept-Encoding": "identity"})
    return None


def _too_large(limit: int) -> ApiError:
    message = f"the request's body is larger than the limit of {limit:,} bytes"
    return ApiError(413, "too_large", message, headers={"Connection": "close"})


def _too_slow(count: int) -> ApiError:
    message = f"the request's body came too slowly: {count:,} bytes so far; send it again"
    return ApiError(408, "too_slow", message, headers={"Connection": "close"})
