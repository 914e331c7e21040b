"""Standard streams whose reader may go: `run | head` makes its videos to the end."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_readerless: set[int] = set()
"""Descriptors whose reader has gone."""


class _LossyFile(io.FileIO):
    """A file that drops what is written to it after its reader has gone."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write data; all of it counts as written where nothing reads it any more."""
        try:
            return super().write(data)
        except OSError as error:
            terminal_gone = error.errno == errno.EIO and self.isatty()
            if error.errno != errno.EPIPE and not terminal_gone:
                raise
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self.fileno())
        _readerless.add(self.fileno())
        return memoryview(data).nbytes


def output_is_read() -> bool:
    """Whether something may still read the standard output."""
    return 1 not in _readerless


def keep_streams_open() -> None:
    """Let nothing fail because the reader of the standard output or error is gone, or because they are closed."""
    sys.stdout, sys.stderr = _kept(sys.stdout, 1), _kept(sys.stderr, 2)


def _kept(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # closed by the caller: `run >&-`
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper) or _descriptor(stream) != descriptor:
        return stream
    stream.flush()
    file = io.BufferedWriter(_LossyFile(descriptor, "wb", closefd=False))
    return io.TextIOWrapper(
        file,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _descriptor(stream: TextIO) -> int:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return -1
