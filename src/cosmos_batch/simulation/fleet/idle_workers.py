"""The idle workers of a fleet, by what their devices hold."""

from __future__ import annotations

from cosmos_batch.planning.plan import Kind
from cosmos_batch.simulation.fleet.worker import SimulatedWorker


class IdleWorkers:
    """Idle workers. The best one for a kind holds it; else it holds nothing; else it has been idle longest."""

    def __init__(self) -> None:
        self._kinds: dict[Kind | None, dict[SimulatedWorker, None]] = {}
        self._all: dict[SimulatedWorker, Kind | None] = {}  # in the order in which they became idle

    def __len__(self) -> int:
        return len(self._all)

    def add(self, worker: SimulatedWorker) -> None:
        """Add a worker."""
        self._all[worker] = worker.holds
        self._kinds.setdefault(worker.holds, {})[worker] = None

    def remove(self, worker: SimulatedWorker) -> None:
        """Remove a worker."""
        kind = self._all.pop(worker)
        workers = self._kinds[kind]
        del workers[worker]
        if not workers:
            del self._kinds[kind]

    def best(self, kind: Kind) -> SimulatedWorker | None:
        """Return the worker that is to begin a launch of a kind; None where none is idle."""
        workers = self._kinds.get(kind) or self._kinds.get(None)
        return next(iter(workers or self._all), None)
