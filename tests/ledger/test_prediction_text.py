"""What a prediction says to people."""

from __future__ import annotations

import pytest

from cosmos_batch.ledger.prediction import ExpectedKind, Saving
from cosmos_batch.ledger.prediction_text import expected_text, saving_text, window_text
from cosmos_batch.planning.policies.flush import FlushRules

SET = FlushRules(seconds=20.0)


@pytest.mark.parametrize(
    ("per_hour", "next_in", "age", "text"),
    [
        (3.04, 45.0, 5.0, "depth + edge: next in about 40 s, 3 an hour"),
        (0.52, 6000.0, 0.0, "depth + edge: next in about 1.7 h, 0.5 an hour"),
        (1234.0, 3.0, 9.0, "depth + edge: next at any moment, 1,234 an hour"),
        (2.0, None, 0.0, "depth + edge: 2 an hour"),
    ],
)
def test_expected_runs(per_hour: float, next_in: float | None, age: float, text: str) -> None:
    kind = ExpectedKind("label", ("depth", "edge"), "r1", per_hour / 3600, per_hour, next_in)
    assert expected_text(kind, age) == text


def test_the_window_in_force_and_its_reason() -> None:
    chosen = FlushRules(seconds=80.0)
    assert window_text(SET, chosen, "bursts of 6 runs", False) == (
        "runs wait up to 80 s for others, where 20 s are set: bursts of 6 runs"
    )
    assert window_text(SET, None, "", False) == "runs wait up to 20 s for others, as set"
    assert window_text(SET, None, "", True) == (
        "runs start at once where a device is idle, since others can join later"
    )


def test_what_prediction_saved_or_cost() -> None:
    assert saving_text(Saving()) == ""
    assert saving_text(Saving(1000, 2500.0, -240.0)) == (
        "prediction has saved 2.5 s a run and cost 4 min of the devices over 1,000 runs, "
        "replayed against the fixed rules"
    )
