"""The content of a file as a response, whose errors are those of the API."""

from __future__ import annotations

import asyncio
import os

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from cosmos_batch.service.http.errors import ApiError, error_response

_BAD_RANGE = (400, 416)  # statuses that starlette answers a Range header with, in plain text


class FileContent(FileResponse):
    """A file, or the part of it that a Range header names."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file. Raises ApiError where it has been deleted meanwhile."""
        try:
            self.stat_result = await asyncio.to_thread(os.stat, self.path)
        except FileNotFoundError as exc:
            raise ApiError(404, "not_found", "the file has just been deleted") from exc
        self.set_stat_headers(self.stat_result)
        refused = 0

        async def send_file(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _BAD_RANGE:
                refused = message["status"]
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_file)
        if refused:
            await error_response(_bad_range(refused, self.stat_result.st_size))(scope, receive, send)


def _bad_range(status: int, size: int) -> ApiError:
    last = max(0, size - 1)
    message = f"the header Range names no part of the file; it has {size:,} bytes: name some, as bytes=0-{last}"
    return ApiError(status, "bad_range", message, headers={"Content-Range": f"bytes */{size}"})
