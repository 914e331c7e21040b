"""Ports of the queue scheduler: the queue of a service, other workers, measured costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cosmos_batch.ledger.models import QueueChanges, QueuePoll, Request
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape


class WaitingSource(Protocol):
    """Where waiting runs are read from."""

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes after the change with that id; after None: every waiting run."""

    def requests(self, ids: Sequence[str]) -> list[Request]:
        """Return the requests of runs by id."""


class QueueReader(WaitingSource, Protocol):
    """The queue as a worker reads it. Raises LedgerError."""

    def poll(self) -> QueuePoll:
        """Return the latest change and the queue's mode."""

    def cancel_requests(self) -> list[str]:
        """Return the ids of running runs that are to be cancelled."""

    def other_workers(self) -> list[float]:
        """Return, for each other worker of the queue, for how many more seconds it is busy."""


class CostSource(Protocol):
    """Measured costs and limits."""

    def refit(self) -> CostModel:
        """Fit the cost model to the latest measurements."""

    def max_runs(self, shape: Shape) -> int | None:
        """Return how many runs of that shape may share a batch; None: as many as were planned."""
