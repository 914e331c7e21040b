"""Streams of events that follow each other where the connection breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from cosmos_batch.client.connection import ServerError
from cosmos_batch.client.events import event_streams

ENDED = {"video": "a", "state": "succeeded", "status": "completed", "reason": ""}


class FlakySource:
    """A server that is away for the given number of connections, then sends one stream for each."""

    def __init__(self, away: int, *streams: list[tuple[str, dict[str, Any]]]) -> None:
        self.away = away
        self.streams = list(streams)

    def events(self, _patience: float) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.away:
            self.away -= 1
            raise ServerError("no server answers")
        yield from self.streams.pop(0)


def test_a_stream_follows_one_that_ended() -> None:
    errors: list[BaseException] = []
    source = FlakySource(1, [("queue", {})], [("queue", {}), ("video.state", ENDED)])

    streams = [[event.ended for event in events] for events in islice(event_streams(source, errors.append), 2)]

    assert streams == [[""], ["", "a"]]
    assert [str(error) for error in errors] == ["no server answers"]
