"""What a worker reads of the service's prediction: every few seconds, and only what it understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.dispatch.worker.predictions import READ_SECONDS, STALE_SECONDS, LedgerPredictions
from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.prediction import PREDICTION, QueuePrediction
from tests.support.ledger import Clock


def test_a_prediction_is_read_again_after_some_seconds_and_holds_for_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path / "ledger.db", clock)
    predictions = LedgerPredictions(ledger, clock)
    assert predictions.latest() == QueuePrediction()
    made = QueuePrediction(at=clock.now, patience=60.0)
    ledger.settings.set(PREDICTION, made.as_json().decode())
    assert predictions.latest() == QueuePrediction()  # a scheduler asks before every step
    clock.now += READ_SECONDS
    assert predictions.latest() == made
    clock.now += STALE_SECONDS
    assert predictions.latest() == QueuePrediction()
    ledger.close()


@pytest.mark.parametrize("text", ["{", "[]", '{"at": "noon"}'])
def test_what_another_version_wrote_counts_for_nothing(tmp_path: Path, text: str) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path / "ledger.db", clock)
    ledger.settings.set(PREDICTION, text)
    assert LedgerPredictions(ledger, clock).latest() == QueuePrediction()
    ledger.close()
