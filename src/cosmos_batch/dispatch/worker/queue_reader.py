"""The queue as one worker of a service reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cosmos_batch.dispatch.scheduler.ports import OtherWorkers
from cosmos_batch.ledger import WorkerRecord, WorkerState
from cosmos_batch.ledger.models import QueueChanges, QueuePoll, Request
from cosmos_batch.ledger.ports import DispatchStore

READY = (WorkerState.STARTING, WorkerState.IDLE, WorkerState.WORKING)


class LedgerQueueReader:
    """Reads the queue and the other workers from the ledger. Raises LedgerError."""

    def __init__(self, ledger: DispatchStore, worker: str) -> None:
        """`worker`: the id of the worker that reads."""
        self._ledger = ledger
        self._worker = worker

    def poll(self) -> QueuePoll:
        """Return the latest change and the queue's mode."""
        return self._ledger.queue.poll()

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes after the change with that id; after None: every waiting run."""
        return self._ledger.queue.changes_since(after)

    def requests(self, ids: Sequence[str]) -> list[Request]:
        """Return the requests of runs by id."""
        return self._ledger.queries.requests(ids)

    def cancel_requests(self) -> list[str]:
        """Return the ids of running runs that are to be cancelled."""
        return self._ledger.queue.cancel_requests()

    def other_workers(self) -> OtherWorkers:
        """Return the state of the other workers that take from the queue."""
        workers = [
            other for other in self._ledger.workers.all() if other.state in READY and other.id != self._worker
        ]
        if not workers:
            return OtherWorkers()
        busy = self._ledger.queue.remaining_seconds()
        idle = Counter(_loaded(other) for other in workers if other.state is WorkerState.IDLE)
        return OtherWorkers([busy.get(other.id, 0.0) for other in workers], idle)


def _loaded(worker: WorkerRecord) -> str:
    """The label of what a worker's device holds, as it has reported it."""
    loaded = worker.forecast.get("loaded")
    return loaded if isinstance(loaded, str) else ""
