"""Counters and histograms of dispatch, kept in memory until they are written to the ledger.

Counters (label ""): retries, splits, out_of_memory, joins, preemptions, deaths, poisoned, steps, engine_seconds
(spent in the engine) and idle_seconds (that runs were ready and the engine was not called). Histograms, whose
labels are "le:<bound>" (each observation counted once, under the least bound that holds it), "sum" and "count":
wait_seconds, run_seconds, batch_seconds, batch_size, prediction_error.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from cosmos_batch.errors import LedgerError

_SECONDS = (1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 43200.0)
BOUNDS: Mapping[str, tuple[float, ...]] = {
    "wait_seconds": _SECONDS,
    "run_seconds": _SECONDS,
    "batch_seconds": _SECONDS,
    "batch_size": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
    "prediction_error": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
}
"""The bounds of every histogram; above the last one the label is "le:+Inf"."""


class CounterStore(Protocol):
    """Stores counters."""

    def add_counters(self, more: Mapping[tuple[str, str], float]) -> None:
        """Add to counters, by name and label."""


class Counters:
    """Counts since the last `write`.

    It has no lock: the main thread alone touches it.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], float] = {}

    def count(self, name: str, value: float = 1.0) -> None:
        """Add to a counter."""
        self._add(name, "", value)

    def observe(self, name: str, value: float) -> None:
        """Add an observation to a histogram."""
        bound = next((bound for bound in BOUNDS[name] if value <= bound), None)
        self._add(name, "le:+Inf" if bound is None else f"le:{bound:g}", 1.0)
        self._add(name, "sum", value)
        self._add(name, "count", 1.0)

    def _add(self, name: str, label: str, value: float) -> None:
        self._pending[name, label] = self._pending.get((name, label), 0.0) + value

    def write(self, store: CounterStore) -> None:
        """Write what is pending; it stays pending while the ledger cannot be written."""
        with suppress(LedgerError):
            store.add_counters(self._pending)
            self._pending = {}
