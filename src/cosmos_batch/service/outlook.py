"""The simulated picture of the coming hours under today's queue, and how far earlier pictures were off."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.dispatch.worker.queue_reader import READY, LedgerQueueReader
from cosmos_batch.ledger import Ledger, State
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.policies.priority import rank
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun
from cosmos_batch.simulation.outlook import Outlook, outlook, what_is_left

MOST_RUNS = 2000  # that are simulated
EVERY = 30.0  # seconds between two pictures
SHARE = 0.1  # of the time that simulating may take
MEASUREMENTS = 500  # latest measurements that the costs are fitted to
SAMPLED = 10  # runs of a picture whose ends are compared with it later
KEPT = 200  # such runs, the latest
FIRST_PICTURES = "outlook"  # the setting that keeps them

Sample = tuple[str, float, float]
"""A run's id, when a picture was made, and when the run was to end by it, both in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class QueuePicture:
    """The coming hours, and the error of earlier pictures."""

    at: float  # seconds since 1970
    devices: int
    runs: int  # simulated
    left_out: int  # runs behind those, or that the engine cannot make
    outlook: Outlook
    error: float | None  # median |predicted - real| / real of the time until runs ended; None: not known
    compared: int  # runs that the error is taken from


class OutlookReader:
    """Simulates the queue at most every so often. Safe in any thread."""

    def __init__(
        self,
        ledger: Ledger,
        engine: tuple[Traits, CostModel],
        rules: FlushRules,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`engine`: its traits, and its costs before anything is measured."""
        self._ledger = ledger
        self._traits, self._prior = engine
        self._rules = rules
        self._clock = clock
        self._waiting = WaitingRuns(LedgerQueueReader(ledger, ""), self._traits, clock)
        self._pace = Throttle(EVERY, clock, SHARE)
        self._lock = threading.Lock()
        self._latest: QueuePicture | None = None

    def read(self) -> QueuePicture:
        """Return the latest picture; it is made anew where that is due. Raises LedgerError."""
        with self._lock:
            if self._latest is None or self._pace.due():
                started = self._clock()
                self._latest = self._make(started)
                self._pace.spent(self._clock() - started)
            return self._latest

    def _make(self, now: float) -> QueuePicture:
        ledger = self._ledger
        running = [(each.record.run, each.attempt) for each in ledger.queries.under_way()]
        runs = [what_is_left(run, attempt.step, attempt.steps) for run, attempt in running if attempt]
        self._waiting.refresh(ledger.queue.poll().latest)
        entries = sorted(
            self._waiting.entries.values(), key=lambda each: (rank(each.priority, each.created), -each.created)
        )
        first = [entry.id for entry in reversed(entries)][:MOST_RUNS]
        runs += self._waiting.runs(first)
        facts = self._waiting.facts
        refused = refusals_by_run(runs, self._traits, facts)
        able = [run for run in runs if run.id not in refused]
        devices = max(1, sum(worker.state in READY for worker in ledger.workers.all()))
        measured = ledger.measurements.latest(self._prior.engine, self._prior.device, MEASUREMENTS)
        engine = self._traits, fit(measured, self._prior)
        begun = {run.id for run, _ in running}
        made = outlook(able, facts, devices, engine, self._rules, sum(run.id in begun for run in able))
        errors = self._compare(now, able, made)
        left_out = len(entries) + len(running) - len(able)
        error = median(errors) if errors else None
        return QueuePicture(now, devices, len(able), left_out, made, error, len(errors))

    def _compare(self, now: float, runs: Sequence[ResolvedRun], made: Outlook) -> list[float]:
        """Keep when some runs are to end, and return how far those were off that have ended since."""
        kept = {each[0]: each for each in self._samples()}
        step = max(1, len(runs) // SAMPLED)
        for run, end in list(zip(runs, made.ends, strict=True))[::step]:
            kept.setdefault(run.id, (run.id, now, now + end))
        latest = list(kept.values())[-KEPT:]
        self._ledger.settings.set(FIRST_PICTURES, json.dumps(latest))
        records = self._ledger.queries.records([run_id for run_id, _, _ in latest])
        errors = []
        for run_id, at, end in latest:
            record = records.get(run_id)
            if record is not None and record.state is State.SUCCEEDED and record.updated > at:
                errors.append(abs(end - record.updated) / (record.updated - at))
        return errors

    def _samples(self) -> list[Sample]:
        text = self._ledger.settings.get(FIRST_PICTURES, "[]")
        try:
            return [(str(run), float(at), float(end)) for run, at, end in json.loads(text)]
        except (ValueError, TypeError):  # of another version of this program
            return []
