"""Predicts a service's queue from its history: which runs to expect, and the rules that would have been best."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

from cosmos_batch.ledger import Ledger, WorkerState
from cosmos_batch.ledger.models import RunRecord
from cosmos_batch.ledger.prediction import PREDICTION, ExpectedKind, QueuePrediction, Saving
from cosmos_batch.ledger.service_models import Filter
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClasses
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.policies.placement import PlacementRules
from cosmos_batch.planning.prediction.arrivals import ArrivalRates
from cosmos_batch.planning.prediction.day_curve import day_curve
from cosmos_batch.planning.traits import Traits
from cosmos_batch.service.window_prediction import WindowPrediction
from cosmos_batch.simulation.keep_warm import best_patience
from cosmos_batch.simulation.shadow.window_choice import EVERY
from cosmos_batch.simulation.trace import Arrival, trace_of

HISTORY = 1000  # latest runs that are replayed when a server starts
LEARNT = 20_000  # latest runs that rates are learnt from when a server starts
SHOWN = 20  # kinds that are written
MEASUREMENTS = 500  # latest measurements that costs are fitted to
WRITE_SECONDS = 60.0  # between two predictions while no run arrives
MOST_SIMULATED = 8  # devices with which the patience of warm devices is simulated; with more it stays as set
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class PredictionSettings:
    """What the rules of a service are without prediction."""

    on: bool = True  # False: nothing is predicted, and the settings hold
    flush: FlushRules = field(default_factory=FlushRules)
    placement: PlacementRules = field(default_factory=PlacementRules)


class Predictor:
    """Learns from every run of the ledger, and writes a prediction for the workers. One thread at a time.

    In an engine whose batches can be joined at any step waiting gains nothing, so that no window is chosen.
    """

    def __init__(
        self,
        ledger: Ledger,
        traits: Traits,
        prior: CostModel,
        settings: PredictionSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`prior`: the cost model before anything is measured."""
        self._ledger = ledger
        self._traits = traits
        self._prior = self._cost = prior
        self._settings = settings or PredictionSettings()
        self._clock = clock
        self._alike = RunClasses(traits)
        self._rates = ArrivalRates[Kind](0.0)
        self._moments = deque[float](maxlen=LEARNT)
        self._latest: dict[Kind, str] = {}  # the latest run of each kind
        self._recent = deque[RunRecord](maxlen=HISTORY)
        self._read_until: tuple[float, set[str]] | None = None  # latest submission, and the runs of that moment
        self._arrivals = 0
        self._windows: WindowPrediction | None = None
        self._patience: float | None = None
        self._devices = 1
        self._written = -inf

    def update(self) -> None:
        """Learn from the runs that have arrived, and write what is expected. Raises LedgerError.

        Where prediction is off, an earlier one is withdrawn.
        """
        if self._settings.on:
            self._learn()
        elif self._ledger.settings.get(PREDICTION):
            self._ledger.settings.set(PREDICTION, "")

    def _learn(self) -> None:
        fresh = self._fresh()
        if not fresh and self._clock() - self._written < WRITE_SECONDS:
            return
        self._prepare()
        first, before = not self._arrivals, self._arrivals
        for place, record in enumerate(fresh, -len(fresh)):
            self._arrive(record, replayed=place >= -HISTORY)
        if self._arrivals // EVERY > before // EVERY:
            self._look_back()
        if self._windows is not None and first:
            self._windows.begin_saving()  # the history was not made with these choices
        if self._arrivals:
            self._ledger.settings.set(PREDICTION, self._prediction().as_json().decode())
        self._written = self._clock()

    # Reading

    def _fresh(self) -> list[RunRecord]:
        """The runs that were submitted since the last time, oldest first; at first the latest of the history."""
        if self._read_until is None:
            found = list(self._history())[::-1]
        else:
            since, known = self._read_until
            found = [each for each in self._submitted_since(since) if each.id not in known]
        if found:
            latest = found[-1].created
            same = {each.id for each in found if each.created == latest}
            if self._read_until is not None and self._read_until[0] == latest:
                same |= self._read_until[1]
            self._read_until = latest, same
        return found

    def _history(self) -> Iterator[RunRecord]:
        after, count, more = "", 0, True
        while more and count < LEARNT:
            page = self._ledger.queries.page(after=after, limit=_PAGE)
            yield from (each.record for each in page.runs)
            count += len(page.runs)
            after, more = (page.runs[-1].record.id, page.more) if page.runs else ("", False)

    def _submitted_since(self, moment: float) -> Iterator[RunRecord]:
        after, more = "", True
        while more:
            where = Filter(created_after=moment)
            page = self._ledger.queries.page(where, after=after, limit=_PAGE, newest_first=False)
            yield from (each.record for each in page.runs)
            after, more = (page.runs[-1].record.id, page.more) if page.runs else ("", False)

    def _prepare(self) -> None:
        """Note costs and devices as they are now."""
        measured = self._ledger.measurements.latest(self._prior.engine, self._prior.device, MEASUREMENTS)
        self._cost = fit(measured, self._prior)
        ready = (WorkerState.STARTING, WorkerState.IDLE, WorkerState.WORKING)
        self._devices = max(1, sum(worker.state in ready for worker in self._ledger.workers.all()))
        if self._traits.steppable or (self._windows and self._windows.devices == self._devices):
            return
        before = self._windows.saving if self._windows else self._stored().saving
        self._windows = WindowPrediction(self._traits, self._settings.flush, self._devices, before)
        for record in self._recent:
            self._windows.arrive(record.created, self._alike.of(record.run, record.facts), self._cost)
        self._windows.begin_saving()

    def _stored(self) -> QueuePrediction:
        try:
            return QueuePrediction.from_json(self._ledger.settings.get(PREDICTION))
        except ValueError:  # of another version of this program
            return QueuePrediction()

    # Learning

    def _arrive(self, record: RunRecord, *, replayed: bool) -> None:
        run_class = self._alike.of(record.run, record.facts)
        if run_class.problems:
            return
        kind = Kind(run_class.launch_key, run_class.signature)
        self._rates.observe(kind, record.created)
        self._latest[kind] = record.id
        self._moments.append(record.created)
        self._recent.append(record)
        self._arrivals += 1
        if self._windows is not None and replayed:
            self._windows.arrive(record.created, run_class, self._cost)

    def _look_back(self) -> None:
        """Learn what is learnt from many runs at once."""
        self._rates.follow_day(day_curve(self._moments, self._moments[0], self._moments[-1]))
        if self._traits.steppable and self._devices <= MOST_SIMULATED and len(self._latest) > 1:
            first = self._recent[0].created
            facts = {path: found for record in self._recent for path, found in record.facts.items()}
            arrivals = [Arrival(each.created - first, each.run, each.owner) for each in self._recent]
            engine = self._traits, self._cost
            rules = self._settings.placement
            self._patience = best_patience(trace_of(arrivals, facts), self._devices, engine, rules)

    def _prediction(self) -> QueuePrediction:
        now = self._clock()
        rates = sorted(((self._rates.rate(kind, now), kind) for kind in self._latest), key=lambda each: -each[0])
        windows = self._windows
        return QueuePrediction(
            at=now,
            flush=windows.rules if windows else None,
            patience=self._patience,
            reason=windows.reason
            if windows
            else "runs can join a batch at any step, so that none waits for others",
            kinds=tuple(self._expected(kind, rate, now) for rate, kind in rates[:SHOWN]),
            arrivals=self._arrivals,
            saving=windows.saving if windows else Saving(),
        )

    def _expected(self, kind: Kind, rate: float, now: float) -> ExpectedKind:
        next_in = self._rates.next_in(kind, now)
        return ExpectedKind(
            label=kind.label,
            controls=kind.controls,
            run=self._latest[kind],
            per_second=rate,
            per_hour=self._rates.expected(kind, now, 3600.0),
            next_in=next_in if next_in < inf else None,
        )
