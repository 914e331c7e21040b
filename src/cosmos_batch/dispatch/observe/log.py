"""Structured log: one JSON object per line, with the time, the event, and the ids that it concerns."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import TextIO

from structlog import BoundLogger, WriteLogger
from structlog.processors import JSONRenderer


class EventLog:
    """Writes lines such as {"at": 1700000000.5, "event": "run_changed", "run": "r1", "batch": 3, ...}.

    Any thread may call it: structlog writes each line under a lock of the stream.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time, **context: object) -> None:
        """`clock`: seconds since 1970; `context`: fields of every line, such as the worker's id."""

        def stamp(_logger: object, _method: str, fields: MutableMapping[str, object]) -> dict[str, object]:
            return {"at": round(clock(), 3), "event": fields.pop("event"), **fields}

        self._logger = BoundLogger(WriteLogger(stream), [stamp, JSONRenderer(default=str)], context)

    def __call__(self, event: str, **fields: object) -> None:
        """Write one JSON line. Errors of a closed stream are ignored."""
        with suppress(OSError, ValueError):
            self._logger.msg(event, **fields)
