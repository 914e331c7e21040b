"""Measurements, memory limits and counters."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
)
from cosmos_batch.planning.cost.model import Measurement
from tests.support.ledger import SHAPE


def test_measurements_and_limits_belong_to_an_engine_on_a_device(ledger: Ledger) -> None:
    measured = Measurement(engine="pocket", device="cpu", kind="batch", seconds=3.5, runs=2, predicted_seconds=3.0)
    ledger.measurements.add(measured)
    ledger.measurements.add_limit("pocket", "cpu", SHAPE, 4)
    ledger.measurements.add_limit("pocket", "cpu", SHAPE, 2)

    assert ledger.measurements.latest("pocket", "cpu") == [measured]
    assert ledger.measurements.latest("pocket", "h100") == []
    assert ledger.measurements.limits("pocket", "cpu") == {SHAPE: 2}
    assert ledger.measurements.limits("transfer", "cpu") == {}


def test_counters_add_up_by_name_and_label(ledger: Ledger) -> None:
    ledger.measurements.add_counters({("steps", ""): 4.0, ("wait_seconds", "le:10"): 1.0})
    ledger.measurements.add_counters({("steps", ""): 1.0})
    ledger.measurements.add_counters({})

    assert ledger.measurements.counters() == {("steps", ""): 5.0, ("wait_seconds", "le:10"): 1.0}
