"""Structured logs: a JSON object per line, with the time, what happened, and the ids of what it happened to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


class EventLog:
    """Writes lines such as {"at": 1700000000.5, "event": "run_changed", "run": "r1", "batch": 3, ...}."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time, **about: object) -> None:
        """`about`: what every line says, such as the worker's id."""
        self._stream = stream
        self._clock = clock
        self._about = about

    def __call__(self, event: str, **fields: object) -> None:
        """Write a line. That nobody reads it any more is no reason to stop working."""
        line = {"at": round(self._clock(), 3), "event": event, **self._about, **fields}
        with suppress(OSError, ValueError):
            self._stream.write(json.dumps(line, default=str, ensure_ascii=True) + "\n")  # print would write twice
            self._stream.flush()
