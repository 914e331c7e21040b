"""Tensors of prompts and videos, kept in memory up to a size."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class FeatureCache(Generic[Value]):
    """A least-recently-used cache bounded by the bytes of its values."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """The value of a key, which becomes the most recently used; None if it is not kept."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keep a value of `size` bytes, dropping the least recently used; one that cannot fit is not kept."""
        if size > self._max_bytes:
            return
        self._drop(key)
        while self._bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = (value, size)
        self._bytes += size

    def clear(self) -> None:
        """Drop all values."""
        self._entries.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: str) -> None:
        if key in self._entries:
            self._bytes -= self._entries.pop(key)[1]
