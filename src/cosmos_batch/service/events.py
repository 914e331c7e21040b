"""Server-sent events: one task reads the ledger for all streams; a stream can resume after an event id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import Ledger, RunWithAttempt, StateChange
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.present import STATUS, eta_seconds, percent

POLL_SECONDS = 0.5
QUIET_SECONDS = 15.0  # without an event, after which a comment keeps the connection alive
_BUFFERED = 2000  # events of a slow client; at one more its stream ends, and the client resumes with a new one
_CHUNK = 500  # changes read in one query


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream."""

    name: str
    data: dict[str, Any]
    video: str = ""  # the run's id; "": an event of the queue
    id: int | None = None  # of a state change: a stream can resume after it

    def encode(self) -> str:
        """Write the event in the format of server-sent events."""
        head = "" if self.id is None else f"id: {self.id}\n"
        return f"{head}event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n"


@dataclass(eq=False, slots=True)
class _Subscriber:
    """One open stream."""

    key_name: str  # of the request that opened it; "": none was needed
    events: asyncio.Queue[StreamEvent | None] = field(default_factory=lambda: asyncio.Queue(_BUFFERED))
    closed: bool = False

    def offer(self, event: StreamEvent) -> None:
        """Queue an event; close the stream if its queue is full. The client resumes after its last event id."""
        if self.closed:
            return
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """End the stream now, without the queued events."""
        while not self.events.empty():
            self.events.get_nowait()
        self.close()

    def close(self) -> None:
        """End the stream after the queued events, or now if the queue is full."""
        self.closed = True
        with suppress(asyncio.QueueFull):
            self.events.put_nowait(None)


class EventStreams:
    """All event streams of a server. Belongs to the event loop."""

    def __init__(self, ledger: Ledger, max_streams: int, admits: Callable[[str], bool]) -> None:
        """`max_streams`: at the same time; `admits`: whether requests of a key's name are still answered."""
        self._ledger = ledger
        self._max_streams = max_streams
        self._admits = admits
        self._subscribers: set[_Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._latest = 0  # id of the latest change that was queued
        self._behind = False  # there are more changes than one query reads
        self._progress: dict[str, tuple[int, int]] = {}
        self._queue: dict[str, Any] = {}

    async def subscribe(self, video: str, after: int | None, key_name: str = "") -> AsyncIterator[str]:
        """Open a stream of encoded events, which ends once `key_name` is no longer admitted.

        `video`: of this run only, "": of all runs; `after`: begin with the changes after this id. Raises ApiError
        for too many streams, and LedgerError.
        """
        if len(self._subscribers) >= self._max_streams:
            message = f"{self._max_streams} event streams are open, which is the limit; close one"
            raise ApiError(429, "too_many_streams", message, headers={"Retry-After": "10"})
        if self._task is None or self._task.done():
            self._latest = await asyncio.to_thread(self._ledger.queries.latest_change)
            self._task = asyncio.create_task(self._poll())
        subscriber = _Subscriber(key_name)
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
                yield StreamEvent("queue", self._queue).encode()
            async for text in self._live(subscriber, video):
                yield text
        finally:
            self._subscribers.discard(subscriber)

    async def _missed(self, video: str, latest: int, after: int | None) -> AsyncIterator[StreamEvent]:
        """Read the changes after `after` up to `latest`, from where the live events continue."""
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
                yield ": keep-alive\n\n"
                continue
            if event is None:
                return
            if not video or event.video in ("", video):
                yield event.encode()

    async def _poll(self) -> None:
        """Read new events and queue them for every stream, while there is a stream."""
        while self._subscribers:
            self._behind = False
            with suppress(LedgerError):  # the next round tries again; /healthz reports the error
                for subscriber in await asyncio.to_thread(self._refused, tuple(self._subscribers)):
                    subscriber.end()
                for event in await asyncio.to_thread(self._new_events):
                    for subscriber in tuple(self._subscribers):
                        subscriber.offer(event)
            await asyncio.sleep(0 if self._behind and not self._backlogged else POLL_SECONDS)

    @property
    def _backlogged(self) -> bool:
        """Whether the queue of a stream is more than half full."""
        return any(subscriber.events.qsize() > _BUFFERED // 2 for subscriber in self._subscribers)

    def _refused(self, subscribers: Collection[_Subscriber]) -> list[_Subscriber]:
        """Find the streams whose key is no longer admitted. Raises LedgerError."""
        refused = {name for name in {each.key_name for each in subscribers} if not self._admits(name)}
        return [each for each in subscribers if each.key_name in refused]

    def _new_events(self) -> list[StreamEvent]:
        changes = self._ledger.queries.changes(self._latest, limit=_CHUNK)
        self._behind = len(changes) == _CHUNK
        events = [_change_event(change) for change in changes]
        if changes:
            self._latest = changes[-1].id
        steps = {}
        for running in self._ledger.queries.under_way():
            run_id, attempt = running.record.id, running.attempt
            steps[run_id] = (attempt.step, attempt.steps) if attempt else (0, 0)
            if steps[run_id] != self._progress.get(run_id, (0, 0)):
                events.append(_progress_event(running))
        self._progress = steps
        if changes or not self._queue:
            counts = {state.value: count for state, count in self._ledger.queries.states().items()}
            queue = {"mode": self._ledger.settings.mode().value, "counts": counts}
        else:
            queue = self._queue | {"mode": self._ledger.settings.mode().value}
        if queue != self._queue:
            self._queue = queue
            events.append(StreamEvent("queue", queue))
        return events

    def close(self) -> None:
        """End every stream."""
        if self._task:
            self._task.cancel()
        for subscriber in tuple(self._subscribers):
            subscriber.close()


def _change_event(change: StateChange) -> StreamEvent:
    data = {
        "video": change.run,
        "state": change.state.value,
        "status": STATUS[change.state],
        "reason": change.reason,
        "at": change.at,
    }
    return StreamEvent("video.state", data, change.run, change.id)


def _progress_event(running: RunWithAttempt) -> StreamEvent:
    attempt = running.attempt
    data = {
        "video": running.record.id,
        "step": attempt.step if attempt else 0,
        "steps": attempt.steps if attempt else 0,
        "progress": percent(attempt),
        "eta_seconds": eta_seconds(attempt),
    }
    return StreamEvent("video.progress", data, running.record.id)
