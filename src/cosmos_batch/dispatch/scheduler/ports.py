"""Ports of the queue scheduler: the queue of a service, other workers, measured costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.ledger.models import QueueChanges, QueuePoll, Request
from cosmos_batch.ledger.prediction import QueuePrediction
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape


@dataclass(frozen=True, slots=True)
class OtherWorkers:
    """The other workers of a queue, as one worker sees them."""

    busy: Sequence[float] = ()  # for how many more seconds each is busy; 0: it is idle
    idle: Mapping[str, int] = field(default_factory=dict)
    """The number of idle ones by the label of what their devices hold, "" for nothing; see `Kind.label`."""


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

    def other_workers(self) -> OtherWorkers:
        """Return the state of the other workers of the queue."""


class CostSource(Protocol):
    """Measured costs and limits."""

    def refit(self) -> CostModel:
        """Fit the cost model to the latest measurements."""

    def max_runs(self, shape: Shape) -> int | None:
        """Return how many runs of that shape may share a batch; None: as many as were planned."""


class PredictionSource(Protocol):
    """Where a scheduler reads what is expected of its queue."""

    def latest(self) -> QueuePrediction:
        """Return the latest prediction; an empty one where there is none. Cheap enough for every decision."""


class NoPrediction:
    """Expects nothing, so that the settings hold."""

    _NOTHING = QueuePrediction()

    def latest(self) -> QueuePrediction:
        """Return an empty prediction."""
        return self._NOTHING
