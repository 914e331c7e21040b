"""Server-sent events: one reader of the ledger for all streams; a stream goes on where another broke off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import Ledger, RunWithAttempt, StateChange
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.present import STATUS, eta_seconds, percent

POLL_SECONDS = 0.5
QUIET_SECONDS = 15.0  # after which a comment keeps the connection alive
_BUFFERED = 2000  # events that a slow client may lag behind
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    name: str
    data: dict[str, Any]
    video: str = ""  # the run that it is about; "": the queue
    id: int | None = None  # of a change: where a stream may go on

    def encode(self) -> str:
        """The event as it goes over the wire."""
        head = "" if self.id is None else f"id: {self.id}\n"
        return f"{head}event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n"


@dataclass(eq=False, slots=True)
class _Subscriber:
    events: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(_BUFFERED))
    lost: bool = False

    def offer(self, event: Event) -> None:
        """Give it an event; one that lags too far behind is let go, and comes back for the rest."""
        if self.lost:
            return
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True
            while not self.events.empty():
                self.events.get_nowait()
            self.events.put_nowait(None)


class Streams:
    """All event streams of a server."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        """`most`: streams at the same time."""
        self._ledger = ledger
        self._most = most
        self._subscribers: set[_Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._latest = 0  # id of the latest change that was handed out
        self._behind = False  # there are more changes than were read at once
        self._progress: dict[str, tuple[int, int]] = {}
        self._queue: dict[str, Any] = {}

    async def subscribe(self, video: str, after: int | None) -> AsyncIterator[str]:
        """Events as text, for ever; of one run if it is named. `after`: go on after the change with that id.

        Raises Refusal where there are too many streams, and LedgerError.
        """
        if len(self._subscribers) >= self._most:
            message = f"{self._most} event streams are open, and no more are kept; close one"
            raise ApiError(429, "too_many_streams", message, headers={"Retry-After": "10"})
        if self._task is None or self._task.done():
            self._latest = await asyncio.to_thread(self._ledger.queries.latest_change)
            self._task = asyncio.create_task(self._work())
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        return self._stream(subscriber, video, self._latest, after)

    async def _stream(
        self, subscriber: _Subscriber, video: str, latest: int, after: int | None
    ) -> AsyncIterator[str]:
        try:
            yield "retry: 2000\n\n"
            async for event in self._missed(video, latest, after):
                yield event.encode()
            if self._queue:
                yield Event("queue", self._queue).encode()
            async for text in self._live(subscriber, video):
                yield text
        finally:
            self._subscribers.discard(subscriber)

    async def _missed(self, video: str, latest: int, after: int | None) -> AsyncIterator[Event]:
        """The changes between `after` and what the other streams have seen."""
        while after is not None and after < latest:
            changes = await asyncio.to_thread(self._ledger.queries.changes, after, run_id=video, limit=_CHUNK)
            for change in changes:
                if change.id > latest:
                    return
                yield _change_event(change)
                after = change.id
            if len(changes) < _CHUNK:
                return

    async def _live(self, subscriber: _Subscriber, video: str) -> AsyncIterator[str]:
        while True:
            try:
                event = await asyncio.wait_for(subscriber.events.get(), QUIET_SECONDS)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event is None:
                return
            if not video or event.video in ("", video):
                yield event.encode()

    async def _work(self) -> None:
        """Read what is new, and hand it out, as long as somebody listens."""
        while self._subscribers:
            self._behind = False
            with suppress(LedgerError):  # it is tried again; health says what is wrong
                for event in await asyncio.to_thread(self._news):
                    for subscriber in tuple(self._subscribers):
                        subscriber.offer(event)
            await asyncio.sleep(0 if self._behind and not self._pressed else POLL_SECONDS)

    @property
    def _pressed(self) -> bool:
        """Whether somebody has much to read already."""
        return any(subscriber.events.qsize() > _BUFFERED // 2 for subscriber in self._subscribers)

    def _news(self) -> list[Event]:
        changes = self._ledger.queries.changes(self._latest, limit=_CHUNK)
        self._behind = len(changes) == _CHUNK
        events = [_change_event(change) for change in changes]
        if changes:
            self._latest = changes[-1].id
        steps = {}
        for look in self._ledger.queries.under_way():
            steps[look.record.id] = (look.attempt.step, look.attempt.steps) if look.attempt else (0, 0)
            if steps[look.record.id] != self._progress.get(look.record.id, (0, 0)):
                events.append(_progress_event(look))
        self._progress = steps
        if changes or not self._queue:
            counts = {state.value: count for state, count in self._ledger.queries.states().items()}
            queue = {"mode": self._ledger.settings.mode().value, "counts": counts}
        else:
            queue = self._queue | {"mode": self._ledger.settings.mode().value}
        if queue != self._queue:
            self._queue = queue
            events.append(Event("queue", queue))
        return events

    def close(self) -> None:
        """End every stream."""
        if self._task:
            self._task.cancel()
        for subscriber in tuple(self._subscribers):
            subscriber.lost = True
            with suppress(asyncio.QueueFull):
                subscriber.events.put_nowait(None)


def _change_event(change: StateChange) -> Event:
    data = {
        "video": change.run,
        "state": change.state.value,
        "status": STATUS[change.state],
        "reason": change.reason,
        "at": change.at,
    }
    return Event("video.state", data, change.run, change.id)


def _progress_event(look: RunWithAttempt) -> Event:
    attempt = look.attempt
    data = {
        "video": look.record.id,
        "step": attempt.step if attempt else 0,
        "steps": attempt.steps if attempt else 0,
        "progress": percent(attempt),
        "eta_seconds": eta_seconds(look.record, attempt),
    }
    return Event("video.progress", data, look.record.id)
