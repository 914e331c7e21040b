"""Open attempts of this process: each holds the lease of one run."""

from __future__ import annotations

from threading import Lock


class Leases:
    """The open attempts of this process, and those whose leases were lost.

    Any thread may call it, under its lock: the main thread takes and drops attempts, the heartbeat thread
    reports which of them were lost.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: set[int] = set()
        self._lost: set[int] = set()

    def take(self, attempt: int) -> None:
        """Add an attempt that has begun."""
        with self._lock:
            self._held.add(attempt)

    def drop(self, attempt: int) -> None:
        """Remove an attempt that has ended."""
        with self._lock:
            self._held.discard(attempt)
            self._lost.discard(attempt)

    def held(self) -> set[int]:
        """The open attempts."""
        with self._lock:
            return set(self._held)

    def lose(self, attempts: set[int]) -> None:
        """Mark open attempts as lost: their leases expired, and another worker may own their runs."""
        with self._lock:
            self._lost |= attempts & self._held

    @property
    def lost(self) -> set[int]:
        """Open attempts whose leases were lost."""
        with self._lock:
            return set(self._lost)
