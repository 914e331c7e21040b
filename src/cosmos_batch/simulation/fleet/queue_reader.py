"""What the scheduler of a simulated worker reads: the queue in memory, the other workers, costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from cosmos_batch.dispatch.scheduler.ports import OtherWorkers
from cosmos_batch.ledger.models import QueueChanges, QueuePoll, Request
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.simulation.fleet.memory_queue import QueueInMemory
from cosmos_batch.simulation.fleet.worker import SimulatedWorker


class FleetState(Protocol):
    """What the schedulers of a fleet see of it."""

    @property
    def now(self) -> float:
        """The virtual time."""

    @property
    def queue(self) -> QueueInMemory:
        """The queue of waiting runs."""

    @property
    def workers(self) -> Sequence[SimulatedWorker]:
        """All workers."""

    @property
    def traits(self) -> Traits:
        """The engine's traits."""

    @property
    def claims_first(self) -> bool:
        """Whether the workers share one plan."""

    @property
    def many(self) -> OtherWorkers:
        """The other workers where they share one plan: the schedulers look at their number alone."""


class FleetCosts:
    """Costs of the profile, which no measurement changes."""

    def __init__(self, cost: CostModel, max_runs: int | None) -> None:
        self._cost = cost
        self._max_runs = max_runs

    def refit(self) -> CostModel:
        """Return the cost model."""
        return self._cost

    def max_runs(self, shape: Shape) -> int | None:  # noqa: ARG002 - the protocol's name
        """Return how many runs may share a batch."""
        return self._max_runs


class FleetReader:
    """The queue as one worker of a fleet reads it."""

    def __init__(self, fleet: FleetState, worker: SimulatedWorker | None) -> None:
        self._fleet = fleet
        self._worker = worker

    def poll(self) -> QueuePoll:
        """Return the latest change and the queue's mode."""
        return self._fleet.queue.poll()

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes after the change with that number."""
        return self._fleet.queue.changes_since(after)

    def requests(self, ids: Iterable[str]) -> list[Request]:
        """Return the requests of runs by id."""
        return self._fleet.queue.requests(ids)

    def cancel_requests(self) -> list[str]:
        """Return no run: none of a trace is cancelled."""
        return self._fleet.queue.cancel_requests()

    def other_workers(self) -> OtherWorkers:
        """Return the state of the other workers. A run of many workers wakes the one that is to begin it."""
        fleet = self._fleet
        if fleet.claims_first:
            return fleet.many
        others = [other for other in fleet.workers if other is not self._worker and other.alive]
        idle = dict[str, int]()
        for other in others:
            if other.idle:
                label = other.holds.label if other.holds and fleet.traits.steppable else ""
                idle[label] = idle.get(label, 0) + 1
        return OtherWorkers([other.busy_for(fleet.now) for other in others], idle)
