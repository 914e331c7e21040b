"""Ctrl-C and SIGTERM: the first asks to stop at the next step, the second stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cosmos_batch.dispatch.settings import StopToken


@contextmanager
def stopping(stop: StopToken, tell: Callable[[str], None]) -> Iterator[None]:
    """While this holds, signals set `stop`, and `tell` says so; a second one raises KeyboardInterrupt."""

    def receive(_number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        tell("stopping after this step, states are being saved; once more to stop at once")

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
