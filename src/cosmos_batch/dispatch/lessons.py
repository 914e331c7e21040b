"""What execution teaches: how long batches take, and how many runs of a shape fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from cosmos_batch.dispatch.flight import Seat
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost import Features, Measurement, features
from cosmos_batch.planning.lots import work_of
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape, Traits

Kind = Literal["launch", "batch"]


class Lessons:
    """Keeps measurements and limits in the ledger, and answers with the limits."""

    def __init__(self, ledger: Ledger, costed_as: tuple[str, str], traits: Traits, max_batch: int | None) -> None:
        """`costed_as`: engine and device, as the cost model names them; `max_batch`: the user's own limit."""
        self._ledger = ledger
        self._engine, self._device = costed_as
        self._traits = traits
        self._max_batch = max_batch
        self._limits = ledger.limits(*costed_as)
        self._loaded = 0  # branches of the launch at work

    def most(self, shape: Shape) -> int | None:
        """The runs of that shape that may share a batch; None: as many as were planned."""
        known = [limit for limit in (self._limits.get(shape), self._max_batch) if limit is not None]
        return min(known, default=None)

    def too_many(self, shape: Shape, runs: int) -> None:
        """So many runs of a shape ran out of memory together: half of them may be tried."""
        half = max(1, runs // 2)
        self._limits[shape] = min(half, self._limits.get(shape, half))
        self._ledger.add_limit(self._engine, self._device, shape, half)

    def loaded(self, launch: Launch, seconds: float) -> None:
        """A model load took so long."""
        self._loaded = len(launch.controls)
        self._keep(Features(branches=self._loaded), "launch", seconds, launch.load_seconds)

    def took(self, batch: Batch, number: int, seconds: float, seats: Sequence[Seat]) -> None:
        """A batch took so long. One that did not do all of its steps teaches nothing."""
        if not seats or any(seat.resumed or not seat.steps or seat.step < seat.steps for seat in seats):
            return
        works = [work_of(seat.job.run, batch.shape, self._traits) for seat in seats]
        self._keep(features(works, self._loaded), "batch", seconds, batch.seconds, number)

    def _keep(
        self, what: Features, kind: Kind, seconds: float, predicted: float, batch: int | None = None
    ) -> None:
        measured = Measurement(
            **asdict(what),
            engine=self._engine,
            device=self._device,
            kind=kind,
            seconds=seconds,
            predicted_seconds=predicted,
        )
        self._ledger.add_measurement(measured, batch)
