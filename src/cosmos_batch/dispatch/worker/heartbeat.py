"""Heartbeat: a thread that renews the leases of a worker, so that a step longer than a lease loses no run."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from cosmos_batch.dispatch.execution.leases import Leases
from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger.ports import DispatchStore

LONGEST_INTERVAL = 5.0  # seconds between two heartbeats


class Heartbeat:
    """Thread that renews leases and reports the worker as alive; use it as a context.

    The thread touches the ledger, which any thread may use, and `Leases`, which has a lock; nothing else.
    """

    def __init__(
        self,
        ledger: DispatchStore,
        worker: str,
        leases: Leases,
        lease: float,
        report: Callable[[str], None],
    ) -> None:
        """`lease`: seconds; `report` is called in that thread when the ledger cannot be written."""
        self._ledger = ledger
        self._worker = worker
        self._leases = leases
        self._lease = lease
        self._report = report
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(min(LONGEST_INTERVAL, self._lease / 4)):
            self.beat()

    def beat(self) -> None:
        """Renew every lease once, and mark as lost those that the ledger no longer renews."""
        held = self._leases.held()
        try:
            self._leases.lose(held - self._ledger.attempts.renew(held, self._lease))
            self._ledger.workers.heartbeat(self._worker)
        except LedgerError as exc:
            self._report(str(exc))
