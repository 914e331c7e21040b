"""Named settings and the mode of the queue."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
    Mode,
)
from tests.support.ledger import OpenLedger


def test_mode_is_stored(ledger: Ledger, open_ledger: OpenLedger) -> None:
    assert ledger.settings.mode() is Mode.RUNNING

    ledger.settings.set_mode(Mode.PAUSED)
    ledger.settings.set_mode(Mode.DRAINING)

    other = open_ledger()
    assert other.settings.mode() is other.queue.poll().mode is Mode.DRAINING


def test_setting_has_its_last_value_or_the_default(ledger: Ledger) -> None:
    assert ledger.settings.get("note", "none") == "none"

    ledger.settings.set("note", "one")
    ledger.settings.set("note", "two")

    assert ledger.settings.get("note", "none") == "two"
