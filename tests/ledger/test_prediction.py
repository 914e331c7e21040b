"""What a service expects, in a setting of its ledger and back."""

from __future__ import annotations

import pytest

from cosmos_batch.ledger.prediction import ExpectedKind, QueuePrediction, Saving
from cosmos_batch.planning.policies.flush import FlushRules

FULL = QueuePrediction(
    at=10.0,
    flush=FlushRules(seconds=80.0, runs=2**31, quiet=1e9, at_once=False),
    patience=300.0,
    reason="replayed",
    kinds=(ExpectedKind("edge", ("edge",), "run_1", 0.1, 12.0, None),),
    arrivals=400,
    saving=Saving(400, 12.5, -3.0),
)


@pytest.mark.parametrize("prediction", [FULL, QueuePrediction()])
def test_a_prediction_is_read_as_it_was_written(prediction: QueuePrediction) -> None:
    assert QueuePrediction.from_json(prediction.as_json()) == prediction


def test_an_absent_prediction_is_an_empty_one() -> None:
    assert QueuePrediction.from_json("") == QueuePrediction()
