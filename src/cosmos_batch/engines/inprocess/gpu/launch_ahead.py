"""How many denoising steps the host may launch before a GPU has executed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import torch

SHORT_MS = 250.0
"""Milliseconds of a short step: two of them end soon, but launching one takes a good part of its time."""


class Mark(Protocol):
    """A place in the device's queue; `torch.cuda.Event` is one."""

    def synchronize(self) -> None:
        """Wait until the device has reached it."""

    def elapsed_time(self, later: Any, /) -> float:
        """Milliseconds from here to a later mark, when the device has reached both."""


class LaunchAhead:
    """Lets the host launch steps ahead of the device, so that its own work between two steps costs no time.

    A short step is launched while the one before is executed, so that launching it costs no time either; a long
    one when the one before has ended, because a run that joins or a stop waits for all launched steps.
    """

    def __init__(self, mark: Callable[[], Mark] | None) -> None:
        """`mark` puts a mark at the end of the device's queue; None: the device has no queue."""
        self._mark = mark
        self._launched: deque[Mark] = deque()
        self._last_reached: Mark | None = None
        self._short = False

    @classmethod
    def of(cls, device: torch.device) -> LaunchAhead:
        """For a device; the CPU has no queue."""
        return cls(_event_marks(device) if device.type == "cuda" else None)

    def wait(self) -> int:
        """Wait until another step may be launched; returns the number of steps that were waited for."""
        waits = 0
        while len(self._launched) > self._short:
            mark = self._launched.popleft()
            mark.synchronize()
            waits += 1
            if self._last_reached is not None:
                self._short = self._last_reached.elapsed_time(mark) < SHORT_MS
            self._last_reached = mark
        return waits

    def launched(self) -> None:
        """Note that a step was launched."""
        if self._mark is not None:
            self._launched.append(self._mark())


def _event_marks(device: torch.device) -> Callable[[], Mark]:
    def mark() -> Mark:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    return mark
