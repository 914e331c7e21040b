"""The idle workers of a fleet, by what their devices hold."""

from __future__ import annotations

from collections import OrderedDict

from cosmos_batch.planning.plan import Kind
from cosmos_batch.simulation.fleet.worker import SimulatedWorker


class IdleWorkers:
    """Idle workers. The best one for a kind holds it; else it holds nothing; else it has been idle longest."""

    def __init__(self) -> None:
        # Ordered dictionaries, since the first item of a dictionary is slow to find after others were removed
        self._kinds: dict[Kind | None, OrderedDict[SimulatedWorker, None]] = {}
        self._all: OrderedDict[SimulatedWorker, Kind | None] = OrderedDict()  # by when they became idle

    def __len__(self) -> int:
        return len(self._all)

    def add(self, worker: SimulatedWorker) -> None:
        """Add a worker."""
        self._all[worker] = worker.holds
        workers = self._kinds.get(worker.holds)
        if workers is None:
            workers = self._kinds[worker.holds] = OrderedDict()
        workers[worker] = None

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
