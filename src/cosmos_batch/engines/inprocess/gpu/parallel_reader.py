"""Parallel reading of tensors from files straight into a GPU's memory.

One thread copies a file that is in the page cache at 1 to 3 GB/s, and CUDA copies memory that is not pinned piece
by piece. So several threads read pieces into pinned buffers of their own, and copy them on streams of their own.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import local

import torch
from torch import Tensor

THREADS = 8
PIECE = 16 << 20
"""Bytes that a thread reads at a time."""

AHEAD = 2 << 30
"""Bytes of a GPU's memory that are read beyond the tensor that is taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor is stored."""

    file: Path
    begin: int  # of its first byte in the file
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None = None  # of its numbers; None: one after the other

    @property
    def numbers(self) -> int:
        """How many numbers are stored, from the first of the tensor to its last."""
        if self.stride is None or 0 in self.shape:
            return torch.Size(self.shape).numel()
        return 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))

    @property
    def bytes(self) -> int:
        """Size of what is stored."""
        return self.dtype.itemsize * self.numbers


@dataclass(slots=True)
class _Reading:
    """A tensor that is being read."""

    numbers: Tensor  # as they are stored
    pieces: list[Future[None]] = field(default_factory=list)


class ParallelReader:
    """Reads tensors from files into a device's memory in a given order, some ahead of the one that is taken.

    One thread takes them. A tensor that the order names several times is kept until it is taken as often.
    """

    def __init__(self, order: Sequence[Place], device: torch.device) -> None:
        """Start to read.

        Args:
            order: the tensors, as they are taken.
            device: where they are placed: a CUDA device, or the CPU.

        Raises OSError where a file cannot be opened.
        """
        self._order = order
        self._device = device
        self._pool = ThreadPoolExecutor(THREADS, "weights")
        self._buffers = local()
        self._files = {file: os.open(file, os.O_RDONLY) for file in sorted({place.file for place in order})}
        self._uses = Counter(order)
        self._readings: dict[Place, _Reading] = {}
        self._next = 0  # index in the order of the next tensor to be read
        self._held = 0  # bytes of the tensors that are read, or being read, and not taken for the last time
        self._fill()

    def take(self, place: Place) -> Tensor:
        """Wait for a tensor of the order. Raises OSError where it cannot be read whole."""
        while place not in self._readings:
            self._read_next()
        reading = self._readings[place]
        for piece in reading.pieces:
            piece.result()
        self._uses[place] -= 1
        if not self._uses[place]:
            del self._readings[place]
            self._held -= place.bytes
        self._fill()
        if place.stride is None:
            return reading.numbers.view(place.shape)
        return reading.numbers.as_strided(place.shape, place.stride)

    def close(self) -> None:
        """End the threads, and close the files."""
        self._pool.shutdown(cancel_futures=True)
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def _fill(self) -> None:
        ahead = AHEAD if self._device.type == "cuda" else 0
        while self._next < len(self._order) and self._held < ahead:
            self._read_next()

    def _read_next(self) -> None:
        place = self._order[self._next]
        self._next += 1
        if place in self._readings:
            return
        reading = _Reading(torch.empty(place.numbers, dtype=place.dtype, device=self._device))
        self._readings[place] = reading
        self._held += place.bytes
        # The memory may have been another tensor's, which is still read by work of the device
        free = torch.cuda.current_stream(self._device).record_event() if self._device.type == "cuda" else None
        stored = reading.numbers.view(torch.uint8)
        for begin in range(0, place.bytes, PIECE):
            target = stored[begin : begin + PIECE]
            source = self._files[place.file], place.begin + begin
            reading.pieces.append(self._pool.submit(self._read, *source, target, free))

    def _read(self, descriptor: int, begin: int, target: Tensor, free: torch.cuda.Event | None) -> None:
        if free is None:  # on the CPU
            _read_into(descriptor, begin, target)
            return
        buffer, stream = self._own()
        part = buffer[: len(target)]
        _read_into(descriptor, begin, part)
        with torch.cuda.stream(stream):
            stream.wait_event(free)
            target.copy_(part, non_blocking=True)
        stream.synchronize()

    def _own(self) -> tuple[Tensor, torch.cuda.Stream]:
        """The pinned buffer and the stream of this thread."""
        if not hasattr(self._buffers, "pair"):
            buffer = torch.empty(PIECE, dtype=torch.uint8, pin_memory=True)
            self._buffers.pair = (buffer, torch.cuda.Stream(self._device))
        pair: tuple[Tensor, torch.cuda.Stream] = self._buffers.pair
        return pair


def _read_into(descriptor: int, begin: int, target: Tensor) -> None:
    """Fill a tensor of bytes on the CPU from a file."""
    view = target.numpy().data
    done = 0
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], begin + done)
        if not count:
            raise OSError(f"the file ends at byte {begin + done}, before a tensor does")
        done += count
