"""Ctrl-C and SIGTERM: the first requests a stop after the step, the second stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from cosmos_batch.dispatch.settings import StopToken

STOPPING = "stopping after this step, checkpoints are being written; once more to stop at once"


@contextmanager
def stop_on_signals(stop: StopToken, report: Callable[[str], None]) -> Iterator[None]:
    """Let the first signal set `stop` and call `report`, and the second raise KeyboardInterrupt."""

    def receive(_number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        # In a thread of its own: the signal may have interrupted a print, which this thread cannot enter again
        Thread(target=report, args=(STOPPING,), daemon=True).start()

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
