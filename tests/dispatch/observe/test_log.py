"""The log: its line format, and streams that take no more lines."""

from __future__ import annotations

import io
from pathlib import Path

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.ledger import State


def test_line_is_one_json_object_with_time_and_event_first() -> None:
    stream = io.StringIO()

    EventLog(stream, lambda: 1700000000.12345, worker="w")("changed", run="é", state=State.QUEUED, file=Path("a"))

    assert stream.getvalue() == (
        '{"at": 1700000000.123, "event": "changed", "worker": "w", '
        '"run": "\\u00e9", "state": "queued", "file": "a"}\n'
    )


def test_closed_stream_is_ignored() -> None:
    stream = io.StringIO()
    log = EventLog(stream)
    stream.close()

    log("changed")


def test_broken_pipe_is_ignored() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    EventLog(Broken())("changed")
