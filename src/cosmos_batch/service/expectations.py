"""What a service expects of its queue, as the API shows it."""

from __future__ import annotations

from cosmos_batch.dispatch.worker.predictions import LedgerPredictions
from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.prediction import QueuePrediction
from cosmos_batch.ledger.prediction_text import expected_text, saving_text, window_text
from cosmos_batch.service.prediction import PredictionSettings
from cosmos_batch.service.schemas.expectations import BatchingWindow, Expectations, ExpectedRuns, PredictionSaving

MOST_KINDS = 20  # that are shown


def expectations(ledger: Ledger, settings: PredictionSettings, joinable: bool) -> Expectations:
    """Read what is expected, and which window is in force. Raises LedgerError.

    `settings`: the rules without prediction; `joinable`: runs can join a running batch.
    """
    now = ledger.now()
    found = LedgerPredictions(ledger, lambda: now).latest() if settings.on else QueuePrediction()
    rules = settings.flush
    age = max(0.0, now - found.at)
    in_force = found.flush or rules
    return Expectations(
        on=settings.on,
        at=found.at or None,
        arrivals=found.arrivals,
        kinds=[
            ExpectedRuns(
                controls=list(kind.controls),
                per_hour=kind.per_hour,
                next_in_seconds=None if kind.next_in is None else max(0.0, kind.next_in - age),
                text=expected_text(kind, age),
            )
            for kind in found.kinds[:MOST_KINDS]
        ],
        window=BatchingWindow(
            seconds=in_force.seconds,
            set_seconds=rules.seconds,
            chosen=in_force.seconds != rules.seconds,
            text=window_text(rules, found.flush, found.reason, joinable),
        ),
        patience_seconds=found.patience,
        saving=PredictionSaving(
            runs=found.saving.runs,
            seconds=found.saving.seconds,
            gpu_seconds=found.saving.gpu_seconds,
            text=saving_text(found.saving),
        ),
    )
