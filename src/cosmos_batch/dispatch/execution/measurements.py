"""What execution teaches: how long batches take, and how many runs of a shape fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from cosmos_batch.dispatch.execution.batch import RunningBatch
from cosmos_batch.dispatch.execution.slot import Slot
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost.model import CostModel, Features, Measurement
from cosmos_batch.planning.equivalence import work_of
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape, Traits

MeasuredPart = Literal["launch", "batch"]


class MeasurementLog:
    """Keeps measurements and limits in the ledger, and answers with the limits."""

    def __init__(
        self,
        ledger: Ledger,
        costed_as: tuple[str, str],
        traits: Traits,
        max_batch: int | None,
        tallies: Counters | None = None,
    ) -> None:
        """`costed_as`: engine and device, as the cost model names them; `max_batch`: the user's own limit."""
        self._ledger = ledger
        self._engine, self._device = costed_as
        self._traits = traits
        self._max_batch = max_batch
        self._limits = ledger.measurements.limits(*costed_as)
        self._loaded = 0  # branches of the launch at work
        self._tallies = tallies or Counters()
        self._first = traits.steppable  # whether an engine in this process has made no batch yet
        self.cost: CostModel | None = None  # what is believed at present; None: what the plan says
        # Whether a launch finds loaded what the launch before had, so that it teaches nothing of loads
        self.once_loaded = False

    def max_runs(self, shape: Shape) -> int | None:
        """The runs of that shape that may share a batch; None: as many as were planned."""
        known = [limit for limit in (self._limits.get(shape), self._max_batch) if limit is not None]
        return min(known, default=None)

    def too_many(self, shape: Shape, runs: int) -> None:
        """So many runs of a shape ran out of memory together: half of them may be tried."""
        self._tallies.count("out_of_memory")
        half = max(1, runs // 2)
        self._limits[shape] = min(half, self._limits.get(shape, half))
        self._ledger.measurements.add_limit(self._engine, self._device, shape, half)

    def loaded(self, launch: Launch, seconds: float) -> None:
        """A model load took so long."""
        self._loaded = len(launch.controls)
        if not self.once_loaded:
            self._keep(Features(branches=self._loaded), "launch", seconds, launch.load_seconds)

    def took(self, batch: Batch, number: int, seconds: float, flight: RunningBatch) -> None:
        """A batch took so long. One that took no step teaches nothing."""
        self._count(seconds, flight)
        seats = [seat for seat in flight.slots if seat.taken > 0]
        whole = all(not seat.resumed and seat.steps and seat.step == seat.steps for seat in flight.slots)
        if not seats or (not whole and (self.cost is None or not self._traits.steppable)):
            return
        did = self._did(seats, batch.shape, flight.advances)
        predicted = batch.seconds if self.cost is None else self.cost.batch_seconds(did)
        self._tallies.observe("prediction_error", abs(predicted - seconds) / seconds if seconds > 0 else 0.0)
        self._keep(did, "batch", seconds, predicted, number)
        self._first = False

    def _count(self, seconds: float, flight: RunningBatch) -> None:
        if flight.slots:
            self._tallies.observe("batch_seconds", seconds)
            self._tallies.observe("batch_size", len({seat.id for seat in flight.slots}))

    def _did(self, seats: Sequence[Slot], shape: Shape, advances: int) -> Features:
        """The features of what was done, of runs that may have come and gone on the way."""
        works = [(work_of(seat.job.run, shape, self._traits), seat) for seat in seats]
        steps = advances if self._traits.steppable else max(seat.taken for seat in seats)
        token_steps = sum(seat.taken * work.row_tokens for work, seat in works)
        pixels = [(work.pixels, work.controls) for work, seat in works if seat.step == seat.steps]
        return Features(
            runs=len(seats),
            branches=self._loaded,
            steps=steps,
            tokens=round(token_steps / steps),
            token_steps=token_steps,
            control_steps=sum(seat.taken * work.row_tokens * work.controls for work, seat in works),
            attention_steps=sum(seat.taken * work.pairs for work, seat in works),
            pixels=sum(count for count, _ in pixels),
            control_pixels=sum(count * controls for count, controls in pixels),
        )

    def _keep(
        self, what: Features, kind: MeasuredPart, seconds: float, predicted: float, batch: int | None = None
    ) -> None:
        measured = Measurement(
            **asdict(what),
            engine=self._engine,
            device=self._device,
            kind=kind,
            seconds=seconds,
            predicted_seconds=predicted,
            first=kind == "batch" and self._first,
        )
        self._ledger.measurements.add(measured, batch)
