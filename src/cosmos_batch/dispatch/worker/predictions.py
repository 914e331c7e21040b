"""The prediction of a service as its workers read it, from a setting of the ledger."""

from __future__ import annotations

from collections.abc import Callable

from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.ledger.prediction import PREDICTION, QueuePrediction

READ_SECONDS = 5.0  # between two reads
STALE_SECONDS = 3600.0  # after which a prediction that no service renews does not hold any more


class LedgerPredictions:
    """Reads the latest prediction every few seconds. Main thread only."""

    def __init__(self, ledger: DispatchStore, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._latest = QueuePrediction()
        self._next_read = 0.0  # seconds since 1970

    def latest(self) -> QueuePrediction:
        """Return the latest prediction; an empty one where none was made lately. Raises LedgerError."""
        if self._clock() >= self._next_read:
            self._latest = self._read()
            self._next_read = self._clock() + READ_SECONDS
        return self._latest

    def _read(self) -> QueuePrediction:
        try:
            found = QueuePrediction.from_json(self._ledger.settings.get(PREDICTION))
        except ValueError:  # of another version of this program
            return QueuePrediction()
        return found if self._clock() - found.at < STALE_SECONDS else QueuePrediction()
