"""How far the host may be ahead of a GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import torch

SHORT_MS = 250.0
"""Milliseconds of a step that is short: two of them are soon over, but a launch takes a good part of one."""


class Mark(Protocol):
    """A place in what was asked of a device; `torch.cuda.Event` is one."""

    def synchronize(self) -> None:
        """Wait until the device has come to it."""

    def elapsed_time(self, later: Any, /) -> float:
        """Milliseconds from here to a later mark, when the device has come to both."""


class LaunchAhead:
    """Lets steps be asked for ahead of time. What comes between two of them costs nothing while the GPU is at one.

    A short step is asked for while the one before is done, so that its launch costs nothing either; a long one
    when the one before is over, for whoever wants to join or to stop waits for what was asked for.
    """

    def __init__(self, mark: Callable[[], Mark] | None) -> None:
        """`mark` leaves a mark behind what was asked of the device so far; None: the device has no queue."""
        self._mark = mark
        self._asked: deque[Mark] = deque()
        self._over: Mark | None = None
        self._short = False

    @classmethod
    def of(cls, device: torch.device) -> LaunchAhead:
        """The lead over a device."""
        return cls(_event(device) if device.type == "cuda" else None)

    def wait(self) -> None:
        """Until another step may be asked for."""
        while len(self._asked) > self._short:
            mark = self._asked.popleft()
            mark.synchronize()
            if self._over is not None:
                self._short = self._over.elapsed_time(mark) < SHORT_MS
            self._over = mark

    def asked(self) -> None:
        """A step has been asked for."""
        if self._mark is not None:
            self._asked.append(self._mark())


def _event(device: torch.device) -> Callable[[], Mark]:
    def mark() -> Mark:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    return mark
