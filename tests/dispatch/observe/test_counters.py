"""Counters and histograms until they are written."""

from __future__ import annotations

from collections.abc import Mapping

from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.errors import LedgerError


class Store:
    """Keeps what is written to it, unless it is locked."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], float] = {}
        self.locked = False

    def add_counters(self, more: Mapping[tuple[str, str], float]) -> None:
        if self.locked:
            raise LedgerError("the ledger is locked")
        for key, value in more.items():
            self.kept[key] = self.kept.get(key, 0.0) + value


def test_observation_counts_once_under_its_least_bound() -> None:
    counters, store = Counters(), Store()
    for value in (1.0, 3.0, 100.0):
        counters.observe("batch_size", value)

    counters.write(store)

    assert store.kept == {
        ("batch_size", "le:1"): 1.0,
        ("batch_size", "le:4"): 1.0,
        ("batch_size", "le:+Inf"): 1.0,
        ("batch_size", "sum"): 104.0,
        ("batch_size", "count"): 3.0,
    }


def test_counts_stay_pending_while_the_ledger_is_locked() -> None:
    counters, store = Counters(), Store()
    counters.count("steps", 2.0)
    store.locked = True
    counters.write(store)
    counters.count("steps")
    store.locked = False

    counters.write(store)
    counters.write(store)

    assert store.kept == {("steps", ""): 3.0}
