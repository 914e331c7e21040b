"""Measurements: how long launches and batches take, and how many runs of a shape fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from cosmos_batch.dispatch.contract import BatchEnded, Slot, Stepped
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel, Features, Measurement
from cosmos_batch.planning.equivalence import work_of
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import ResolvedRun

MeasuredPart = Literal["launch", "batch"]
LATEST = 500  # measurements that the cost model is fitted to, the latest


@dataclass(slots=True)
class _SlotSteps:
    """The denoising steps of one attempt."""

    run: ResolvedRun
    resumed: bool
    first: int = 0  # steps done when it joined
    step: int = 0
    steps: int = 0

    @property
    def taken(self) -> int:
        """Steps taken in this batch."""
        return self.step - self.first

    @property
    def complete(self) -> bool:
        """Whether the run took all its steps in this batch."""
        return not self.resumed and self.steps > 0 and self.step == self.steps


@dataclass(slots=True)
class _BatchClock:
    """When a batch ran, and what it did."""

    batch: Batch
    began: float
    others_before: float  # seconds spent on finishing runs of other batches when it began
    attempts: dict[int, _SlotSteps] = field(default_factory=dict)
    advances: int = 0  # steps of the engine in which some run went further
    finishing_seconds: float = 0.0  # of its own runs, after the batch
    seconds: float | None = None  # None while a run needs the device
    cause: str = ""


@dataclass(frozen=True, slots=True)
class BatchWork:
    """A batch that is over: how long it took, and what was done in that time."""

    number: int
    batch: Batch
    seconds: float  # on the device and finishing
    cause: str  # why it was cut short; "" where it was not
    slots: tuple[_SlotSteps, ...]
    advances: int


class BatchTimes:
    """Times the batches of this process. Seconds spent on finishing runs of other batches do not count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._batches: dict[int, _BatchClock] = {}
        self._finishing = 0.0  # seconds spent on finishing runs so far

    def begin(self, number: int, batch: Batch) -> None:
        """Start timing a batch."""
        self._batches[number] = _BatchClock(batch, self._clock(), self._finishing)

    def join(self, number: int, slots: Iterable[Slot]) -> None:
        """Add runs to a batch."""
        attempts = self._batches[number].attempts
        attempts.update({slot.attempt: _SlotSteps(slot.run, slot.resumed) for slot in slots})

    def stepped(self, outcome: Stepped) -> None:
        """Note a step of a run."""
        clock = self._batches[outcome.slot.batch]
        clock.advances += outcome.first
        slot = clock.attempts[outcome.slot.attempt]
        if slot.resumed and not slot.steps:
            slot.first = outcome.step - 1  # where its checkpoint was
        slot.step, slot.steps = outcome.step, outcome.steps

    def progress(self, among: Container[int]) -> dict[int, tuple[int, int]]:
        """Return steps done and in all of these attempts."""
        return {
            attempt: (slot.step, slot.steps)
            for clock in self._batches.values()
            for attempt, slot in clock.attempts.items()
            if attempt in among
        }

    def steps(self, slot: Slot) -> tuple[int, int]:
        """Return steps done and in all of one attempt."""
        clock = self._batches.get(slot.batch)
        found = clock.attempts.get(slot.attempt) if clock else None
        return (found.step, found.steps) if found else (0, 0)

    def finished(self, slot: Slot, since: float) -> None:
        """Note that a finishing run has ended, on which dispatching has spent the time since then."""
        seconds = self._clock() - since
        self._finishing += seconds
        if (clock := self._batches.get(slot.batch)) is not None:
            clock.finishing_seconds += seconds

    def knows(self, number: int) -> bool:
        """Return whether a batch has begun, and is not over."""
        return number in self._batches

    def seconds(self, number: int) -> float | None:
        """Return how long a batch has taken until now; None where it never began."""
        clock = self._batches.get(number)
        if clock is None:
            return None
        others = self._finishing - clock.others_before
        return self._clock() - clock.began - others + clock.finishing_seconds

    def end(self, outcome: BatchEnded) -> None:
        """Stop timing a batch, but for its finishing runs."""
        clock = self._batches[outcome.number]
        others = self._finishing - clock.others_before
        clock.seconds = self._clock() - clock.began - others
        clock.cause = outcome.cause

    def over(self, number: int, open_attempts: Container[int]) -> BatchWork | None:
        """Return the work of a batch all of whose runs have ended; None where some have not."""
        clock = self._batches.get(number)
        if clock is None or clock.seconds is None or any(attempt in open_attempts for attempt in clock.attempts):
            return None
        seconds = clock.seconds + clock.finishing_seconds
        return BatchWork(number, clock.batch, seconds, clock.cause, tuple(clock.attempts.values()), clock.advances)

    def forget(self, number: int) -> None:
        """Drop a batch."""
        self._batches.pop(number, None)

    def clear(self) -> None:
        """Drop every batch."""
        self._batches.clear()


class MeasurementLog:
    """Keeps measurements and memory limits in the ledger, and answers with the limits."""

    def __init__(
        self,
        ledger: DispatchStore,
        prior: CostModel,
        traits: Traits,
        max_batch: int | None,
        counters: Counters | None = None,
        *,
        measure_loads: bool = True,
    ) -> None:
        """`prior`: the cost model before anything is measured; `max_batch`: the user's own limit; `measure_loads`:
        every launch loads its branches anew, so that its start teaches what a load costs.
        """
        self._ledger = ledger
        self._prior = prior
        self._traits = traits
        self._max_batch = max_batch
        self._limits = ledger.measurements.limits(prior.engine, prior.device)
        self._branches = 0  # of the launch at work
        self._counters = counters or Counters()
        self._first = traits.steppable  # the engine in this process has made no batch yet
        self._measure_loads = measure_loads
        self._cost: CostModel | None = None  # None: `refit` was never called, and the plan's seconds count

    def max_runs(self, shape: Shape) -> int | None:
        """Return how many runs of that shape may share a batch; None: as many as were planned."""
        known = [limit for limit in (self._limits.get(shape), self._max_batch) if limit is not None]
        return min(known, default=None)

    def refit(self) -> CostModel:
        """Fit the cost model to the latest measurements."""
        measured = self._ledger.measurements.latest(self._prior.engine, self._prior.device, LATEST)
        self._cost = fit(measured, self._prior)
        return self._cost

    def too_many(self, shape: Shape, runs: int) -> None:
        """Note that so many runs of a shape ran out of memory together: half of them may be tried."""
        self._counters.count("out_of_memory")
        half = max(1, runs // 2)
        self._limits[shape] = min(half, self._limits.get(shape, half))
        self._ledger.measurements.add_limit(self._prior.engine, self._prior.device, shape, half)

    def loaded(self, launch: Launch, seconds: float) -> None:
        """Measure a model load."""
        self._branches = len(launch.controls)
        if self._measure_loads:
            self._keep(Features(branches=self._branches), "launch", seconds, launch.load_seconds)

    def took(self, work: BatchWork) -> None:
        """Measure a batch. One that took no step teaches nothing."""
        self._count(work)
        slots = [slot for slot in work.slots if slot.taken > 0]
        whole = all(slot.complete for slot in work.slots)
        if not slots or (not whole and (self._cost is None or not self._traits.steppable)):
            return
        did = self._features(slots, work.batch.shape, work.advances)
        seconds = work.seconds
        predicted = work.batch.seconds if self._cost is None else self._cost.batch_seconds(did)
        error = abs(predicted - seconds) / seconds if seconds > 0 else 0.0
        self._counters.observe("prediction_error", error)
        self._keep(did, "batch", seconds, predicted, work.number)
        self._first = False

    def _count(self, work: BatchWork) -> None:
        if work.slots:
            self._counters.observe("batch_seconds", work.seconds)
            self._counters.observe("batch_size", len({slot.run.id for slot in work.slots}))

    def _features(self, slots: Sequence[_SlotSteps], shape: Shape, advances: int) -> Features:
        """Return the features of what was done for runs that may have joined and left on the way."""
        works = [(work_of(slot.run, shape, self._traits), slot) for slot in slots]
        steps = advances if self._traits.steppable else max(slot.taken for slot in slots)
        token_steps = sum(slot.taken * work.row_tokens for work, slot in works)
        ended = [work for work, slot in works if slot.step == slot.steps]
        return Features(
            runs=len(slots),
            branches=self._branches,
            steps=steps,
            tokens=round(token_steps / steps),
            token_steps=token_steps,
            control_steps=sum(slot.taken * work.row_tokens * work.controls for work, slot in works),
            attention_steps=sum(slot.taken * work.pairs for work, slot in works),
            pixels=sum(work.pixels for work in ended),
            control_pixels=sum(work.encoded_pixels for work in ended),
        )

    def _keep(
        self, what: Features, kind: MeasuredPart, seconds: float, predicted: float, batch: int | None = None
    ) -> None:
        measured = Measurement(
            **asdict(what),
            engine=self._prior.engine,
            device=self._prior.device,
            kind=kind,
            seconds=seconds,
            predicted_seconds=predicted,
            first=kind == "batch" and self._first,
        )
        self._ledger.measurements.add(measured, batch)
