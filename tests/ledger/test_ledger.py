"""The ledger as the stores that dispatch needs."""

from __future__ import annotations

from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.ports import DispatchStore
from tests.support.ledger import OpenLedger


def test_ledger_is_a_store_for_dispatch(ledger: Ledger, open_ledger: OpenLedger) -> None:
    store: DispatchStore = ledger  # the type checker compares every method

    other = open_ledger()
    other.settings.set("note", "of another process")

    assert store.queue.poll().latest == 0
    assert ledger.settings.get("note") == "of another process"
