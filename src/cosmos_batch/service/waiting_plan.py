"""The plan of the waiting runs while no worker makes one: what would come first if a paused queue were resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from cosmos_batch.dispatch.scheduler.forecast import forecast
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.dispatch.worker.queue_reader import LedgerQueueReader
from cosmos_batch.ledger import Ledger, QueueEntry
from cosmos_batch.ledger.forecast import Forecast
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank, order_launches, rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun

PLANNED_RUNS = 1000  # at most; the predicted time of further runs is taken to be like theirs
MEASUREMENTS = 500  # latest measurements that the cost model is fitted to
SHARE = 0.1  # of the time that planning may take


class WaitingPlan:
    """Plans the first waiting runs as a worker would that started now. Not thread-safe."""

    def __init__(
        self, ledger: Ledger, traits: Traits, prior: CostModel, clock: Callable[[], float] = time.time
    ) -> None:
        """`prior`: the cost model before anything is measured."""
        self._ledger = ledger
        self._traits = traits
        self._prior = prior
        self._clock = clock
        self._waiting = WaitingRuns(LedgerQueueReader(ledger, ""), traits, clock)
        self._pace = Throttle(0.0, clock, SHARE)
        self._planned: Forecast | None = None

    def forecast(self) -> Forecast:
        """Return the planned launches; the plan is made anew when the queue has changed. Raises LedgerError."""
        latest = self._ledger.queue.poll().latest
        if self._planned is None or (latest != self._waiting.latest and self._pace.due()):
            started = self._clock()
            self._waiting.refresh(latest)
            self._planned = self._plan()
            self._pace.spent(self._clock() - started)
        return self._planned

    def _plan(self) -> Forecast:
        entries = sorted(self._waiting.entries.values(), key=_rank, reverse=True)
        runs = self._waiting.runs([entry.id for entry in entries[:PLANNED_RUNS]])
        found = forecast(self._launches(runs), len(entries), (), "", self._clock())
        return replace(found, seconds=found.seconds * len(entries) / len(runs)) if runs else found

    def _launches(self, runs: Sequence[ResolvedRun]) -> list[PlannedLaunch]:
        facts = self._waiting.facts
        refused = refusals_by_run(runs, self._traits, facts)
        able = [run for run in runs if run.id not in refused]
        if not able:
            return []
        measured = self._ledger.measurements.latest(self._prior.engine, self._prior.device, MEASUREMENTS)
        plan = plan_runs(able, self._traits, fit(measured, self._prior), facts=facts)
        longest = SchedulerSettings().longest_launch
        return order_launches(plan, self._rank_of, self._traits.steppable, longest)

    def _rank_of(self, run_id: str) -> Rank:
        return _rank(self._waiting.entries[run_id])


def _rank(entry: QueueEntry) -> Rank:
    return rank(entry.priority, entry.created)
