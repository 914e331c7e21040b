"""Limit on clients that do not read their responses: each would keep a connection and a file open for ever."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from cosmos_batch.service.settings import Limits

_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)  # Linux has it
_INFO_BYTES = 128  # of the kernel's `struct tcp_info` that are read
_DROP = struct.pack("ii", 1, 0)  # `struct linger`: wait 0 s for what is not sent
_ACKNOWLEDGED = 120  # offset of `tcpi_bytes_acked` in it, a u64 (include/uapi/linux/tcp.h)


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not make the call."""


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Calls a function after some seconds."""


class ReadLimit:
    """Closes a connection that has more to send for `read_seconds`, of which the client takes under `read_bytes`.

    Belongs to the event loop. A link that is slow and makes progress is not cut.
    """

    def __init__(self, transport: asyncio.Transport, limits: Limits, later: CallLater) -> None:
        """Begin to watch a connection, until `end`; `later` is `call_later` of the event loop."""
        self._transport = transport
        self._later = later
        self._limits = limits
        self._socket = transport.get_extra_info("socket")
        self._had_unsent = False  # at the last check
        self._acknowledged = 0  # bytes that the client's system had received then
        self._drained = False  # since then
        self._timer = self._next_check()

    def note_drained(self) -> None:
        """Note that the server's buffer of the connection is nearly empty: the client reads."""
        self._drained = True

    def end(self) -> None:
        """End the watch."""
        self._timer.cancel()

    def _next_check(self) -> Timer:
        return self._later(self._limits.read_seconds, self._check)

    def _check(self) -> None:
        unsent = self._transport.get_write_buffer_size() > 0
        acknowledged = self._bytes_acknowledged() if unsent else 0
        progress = self._drained or acknowledged - self._acknowledged >= self._limits.read_bytes
        if unsent and self._had_unsent and not progress:
            self._reset()
            return
        self._had_unsent, self._acknowledged, self._drained = unsent, acknowledged, False
        self._timer = self._next_check()

    def _reset(self) -> None:
        """Close the connection; the system, too, drops what it has not sent."""
        with suppress(OSError):  # the connection is closed already
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self._transport.abort()

    def _bytes_acknowledged(self) -> int:
        """Read how many bytes the client's system has received; 0 where that is not known."""
        if _TCP_INFO is None:
            return 0
        try:
            info: bytes = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
        except OSError:  # the connection is closed already
            return 0
        if len(info) < _INFO_BYTES:  # an older kernel
            return 0
        (count,) = struct.unpack_from("=Q", info, _ACKNOWLEDGED)
        return int(count)
