"""What a service expects of its queue, as the API shows it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.prediction import PREDICTION, ExpectedKind, QueuePrediction, Saving
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.service.expectations import expectations
from cosmos_batch.service.prediction import PredictionSettings

SET = PredictionSettings(flush=FlushRules(seconds=20.0))


def test_without_a_prediction_the_settings_hold(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        found = expectations(ledger, SET, joinable=False)
    assert (found.at, found.kinds, found.saving.text) == (None, [], "")
    assert (found.window.seconds, found.window.chosen) == (20.0, False)


def test_a_prediction_is_shown_with_its_age_taken_off(tmp_path: Path) -> None:
    now = [1000.0]
    kind = ExpectedKind("k", ("depth", "edge"), "r1", 0.01, 36.0, 60.0)
    made = QueuePrediction(1000.0, FlushRules(seconds=80.0), None, "bursts", (kind,), 500, Saving(10, 5.0, -1.0))
    with closing(Ledger(tmp_path / "ledger.sqlite", lambda: now[0])) as ledger:
        ledger.settings.set(PREDICTION, made.as_json().decode())
        now[0] = 1020.0
        found = expectations(ledger, SET, joinable=False)
        assert found.at == 1000.0
        assert [(each.next_in_seconds, each.controls) for each in found.kinds] == [(40.0, ["depth", "edge"])]
        assert found.kinds[0].text == "depth + edge: next in about 40 s, 36 an hour"
        assert (found.window.seconds, found.window.set_seconds, found.window.chosen) == (80.0, 20.0, True)
        assert (found.arrivals, found.saving.runs, found.saving.gpu_seconds) == (500, 10, -1.0)
        off = expectations(ledger, PredictionSettings(on=False), joinable=False)
        assert (off.on, off.at, off.window.chosen) == (False, None, False)
        now[0] = 1000.0 + 7200.0  # no service has renewed it
        assert expectations(ledger, SET, joinable=False).at is None
