"""The rules in force: those that prediction has chosen, else those of the settings."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.dispatch.scheduler.ports import NoPrediction, OtherWorkers, PredictionSource
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.policies.load_balance import EXACT_OTHERS
from cosmos_batch.planning.policies.placement import PlacementRules
from cosmos_batch.planning.prediction.warm_kind import kind_to_load


class PresentRules:
    """What a scheduler decides with at the moment. Main thread only."""

    def __init__(
        self, settings: SchedulerSettings, waiting: WaitingRuns, predictions: PredictionSource | None = None
    ) -> None:
        """`predictions`: None: the settings hold."""
        self._settings = settings
        self._waiting = waiting
        self._predictions = predictions or NoPrediction()
        self._kinds: dict[str, Kind] = {}  # of expected runs, by label

    @property
    def flush(self) -> FlushRules:
        """When gathered runs are planned."""
        return self._predictions.latest().flush or self._settings.rules

    @property
    def placement(self) -> PlacementRules:
        """How the next launch is chosen."""
        patience, rules = self._predictions.latest().patience, self._settings.placement
        return rules if patience is None else replace(rules, patience=patience)

    def kind_to_load(self, loaded: Kind | None, others: OtherWorkers, cost: CostModel) -> Kind | None:
        """Return the kind that an idle device is to load for expected runs; None: none. Raises LedgerError.

        None with many other workers, too: a run begins on one of those that hold its kind.
        """
        if len(others.busy) > EXACT_OTHERS:
            return None
        expected = (
            (self._kind(each.label, each.run), each.per_second) for each in self._predictions.latest().kinds
        )
        rates = {kind: rate for kind, rate in expected if kind is not None}
        return kind_to_load(loaded, rates, others.idle, cost) if rates else None

    def _kind(self, label: str, run_id: str) -> Kind | None:
        """The kind of a label, from a run of it, which is read once."""
        known = self._kinds.get(label)
        if known is None and (known := self._waiting.kind_of(run_id)) is not None:
            self._kinds[label] = known
        return known
