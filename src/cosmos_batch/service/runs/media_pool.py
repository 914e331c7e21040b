"""Pools of threads for slow work on media files, apart from the threads that answer all other requests."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from cosmos_batch.service.http.errors import ApiError, stopping

MOST_WAITING = 200
"""Calls that may wait for a pool; further ones are refused."""

_LOW, _LOWEST = 10, 19  # niceness of the threads, and of what they start: requests go first

Made = TypeVar("Made")


class MediaPool:
    """A few threads of low priority. `run` belongs to the event loop."""

    def __init__(self, name: str, threads: int, most_waiting: int = MOST_WAITING, *, niceness: int = _LOW) -> None:
        self._pool = ThreadPoolExecutor(
            threads, name, initializer=partial(_set_niceness, max(niceness, os.nice(0)))
        )
        self._most = threads + most_waiting
        self._count = 0  # calls that wait or run
        self._closed = False

    async def run(self, work: Callable[[], Made]) -> Made:
        """Call `work` in a thread of the pool, after the calls that came before.

        Raises ApiError where too many wait or the server stops, and what `work` raises.
        """
        if self._closed:
            raise stopping()
        if self._count >= self._most:
            message = "too many videos wait to be read; try again later"
            raise ApiError(503, "unavailable", message, headers={"Retry-After": "30"})
        self._count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            if self._closed:  # `close` has cancelled the call
                raise stopping() from None
            raise
        finally:
            self._count -= 1

    def close(self) -> None:
        """Cancel the calls that wait; those that run end by themselves."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def _set_niceness(niceness: int) -> None:
    """Set the niceness of the calling thread, where the system has one for each thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class MediaPools:
    """The pools of a server: no kind of work waits for another."""

    def __init__(self) -> None:
        self.previews = MediaPool("previews", 1, niceness=_LOWEST)  # encoding uses all cores
        self.probes = MediaPool("probes", 2)
        self.thumbnails = MediaPool("thumbnails", 2)

    def close(self) -> None:
        """Cancel the calls that wait."""
        for pool in (self.previews, self.probes, self.thumbnails):
            pool.close()
