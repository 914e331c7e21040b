"""The events of a server, as streams that follow each other where the connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from cosmos_batch.client.connection import PATIENCE, ServerError
from cosmos_batch.dispatch.worker.retry import FIRST_WAIT, retry_policy

_ATTEMPTS = 6  # failures in a row after which no stream follows


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a server."""

    name: str  # video.state, video.progress or queue; "": a sign of life
    data: dict[str, Any]

    @property
    def ended(self) -> str:
        """The id of the run that has ended by this event; "": none."""
        over = self.name == "video.state" and self.data["status"] in ("completed", "failed")
        return str(self.data["video"]) if over else ""


class EventSource(Protocol):
    """Opens streams of events; `Connection` is one."""

    def events(self, patience: float) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events from now on, as (name, data). Raises ServerError, also after so many silent seconds."""


def event_streams(
    source: EventSource,
    report: Callable[[BaseException], None] = lambda _error: None,
    patience: float = PATIENCE,
) -> Iterator[Iterator[ServerEvent]]:
    """Yield streams of events, the next one where one has ended; each is open when it is yielded.

    `report` is called for each failure; a stream ends after `patience` seconds without a sign of life. Raises
    ServerError after 6 failures in a row.
    """
    reconnecting = retry_policy((ServerError,), lambda error, _tries: report(error), attempts=_ATTEMPTS)
    while True:
        yield _until_break(reconnecting(_open_stream, source, patience), report)
        time.sleep(FIRST_WAIT)


def _open_stream(source: EventSource, patience: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Open a stream and wait for its first event. Raises ServerError."""
    events = source.events(patience)
    first = next(events, None)
    return events if first is None else chain([first], events)


def _until_break(
    events: Iterator[tuple[str, dict[str, Any]]], report: Callable[[BaseException], None]
) -> Iterator[ServerEvent]:
    try:
        for name, data in events:
            yield ServerEvent(name, data)
    except ServerError as exc:
        report(exc)
