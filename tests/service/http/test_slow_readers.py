"""Clients that do not read their responses are cut off; slow ones that make progress are not."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_batch.ledger import FileRecord, Ledger
from cosmos_batch.service.http.slow_readers import ReadLimit
from cosmos_batch.service.settings import Limits
from tests.service.http.conftest import Start
from tests.support.waiting import wait_until

SIZE = 64 << 20  # bytes of a file: more than the buffers of the kernel hold
LIMITS = Limits(read_seconds=60, read_bytes=1000)


class Link(asyncio.Transport):
    """A connection whose client reads as the test says; it is its own socket."""

    unsent = 0  # bytes in the server's buffer
    received = 0  # bytes that the client's system has received
    aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, _name: str, _default: object = None) -> object:
        return self

    def getsockopt(self, _level: int, _option: int, _size: int) -> bytes:
        return bytes(120) + struct.pack("=Q", self.received)

    def setsockopt(self, _level: int, _option: int, _value: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


class Timers:
    """Timers that fire when the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def later(self, _seconds: float, call: Callable[[], None]) -> Timers:
        self.due.append(call)
        return self

    def cancel(self) -> None:
        self.due.clear()

    def fire(self) -> None:
        """Let `read_seconds` pass."""
        due, self.due = self.due, []
        for call in due:
            call()


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture
def timers() -> Timers:
    return Timers()


def test_connection_of_a_client_that_reads_too_little_is_closed(link: Link, timers: Timers) -> None:
    ReadLimit(link, LIMITS, timers.later)
    link.unsent = 5000
    timers.fire()
    link.received += LIMITS.read_bytes - 1
    assert not link.aborted
    timers.fire()
    assert (link.aborted, timers.due) == (True, [])


def test_slow_client_that_makes_progress_is_kept(link: Link, timers: Timers) -> None:
    limit = ReadLimit(link, LIMITS, timers.later)
    link.unsent = 5000
    for _ in range(5):
        timers.fire()
        link.received += LIMITS.read_bytes
    for _ in range(5):  # as where the system does not count what was received
        timers.fire()
        limit.note_drained()
    assert not link.aborted


def test_time_without_anything_to_send_does_not_count(link: Link, timers: Timers) -> None:
    limit = ReadLimit(link, LIMITS, timers.later)
    for unsent in (0, 0, 10, 0, 10, 0):
        link.unsent = unsent
        timers.fire()
    assert not link.aborted
    limit.end()
    assert timers.due == []


def test_response_that_is_not_read_is_cut(start: Start, tmp_path: Path, ledger: Ledger) -> None:
    connect = start(read_seconds=0.2)
    big = tmp_path / "big.jsonl"
    with big.open("wb") as stream:
        stream.truncate(SIZE)
    ledger.files.add(FileRecord("file-big", "big.jsonl", "batch", str(big), SIZE, "0", "", None, 1.0))
    connection = connect()
    connection.sendall(b"GET /v1/files/file-big/content HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_until(lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))  # it is reset
