"""Leases on runs, kept up by a thread of their own, so that a long step costs no run its lease."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import Ledger


class Leases:
    """The attempts that this process has open."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: set[int] = set()
        self._lost: set[int] = set()

    def take(self, attempt: int) -> None:
        """An attempt begins."""
        with self._lock:
            self._held.add(attempt)

    def drop(self, attempt: int) -> None:
        """An attempt has ended."""
        with self._lock:
            self._held.discard(attempt)
            self._lost.discard(attempt)

    def held(self) -> set[int]:
        """The attempts that are open."""
        with self._lock:
            return set(self._held)

    def lose(self, attempts: set[int]) -> None:
        """These attempts were taken away: their leases had run out."""
        with self._lock:
            self._lost |= attempts & self._held

    @property
    def lost(self) -> set[int]:
        """Open attempts that are not ours any more."""
        with self._lock:
            return set(self._lost)


class Heartbeat:
    """A thread that renews leases and says that the worker is alive; use it as a context."""

    def __init__(
        self, ledger: Ledger, worker: str, leases: Leases, lease: float, trouble: Callable[[str], None]
    ) -> None:
        """`trouble` is told, in that thread, when the ledger cannot be written."""
        self._ledger = ledger
        self._worker = worker
        self._leases = leases
        self._lease = lease
        self._trouble = trouble
        self._over = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(min(5.0, self._lease / 4)):
            self.beat()

    def beat(self) -> None:
        """Renew every lease once."""
        held = self._leases.held()
        try:
            self._leases.lose(held - self._ledger.queue.renew(held, self._lease))
            self._ledger.workers.heartbeat(self._worker)
        except LedgerError as exc:
            self._trouble(str(exc))
