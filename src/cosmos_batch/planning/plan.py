"""A plan: launches of batches of runs, with their predicted cost and their reasons."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun, Signature

Predictor = Callable[[Sequence[ResolvedRun]], float]
"""The seconds of a batch of some runs."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs that are denoised together, as one tensor."""

    runs: tuple[ResolvedRun, ...]
    shape: Shape
    seconds: float  # predicted, without the model load
    bytes: int  # predicted peak of the device's memory, weights included
    output_sizes: tuple[tuple[int, int], ...] = ()  # width and height of finished videos as planned, each once

    @property
    def signature(self) -> Signature:
        """The sorted names of all controls that some run of the batch uses."""
        return tuple(sorted({name for run in self.runs for name in run.signature}))

    def take(self, runs: Sequence[ResolvedRun], predict: Predictor | None = None) -> Batch:
        """Return the batch with only these of its runs.

        `predict` gives the seconds of a batch of some runs; None: in proportion to the number of runs.
        """
        seconds = predict(runs) if predict else self.seconds * len(runs) / len(self.runs)
        return replace(self, runs=tuple(runs), seconds=seconds)

    def split(self, max_runs: int, predict: Predictor | None = None) -> list[Batch]:
        """Cut the batch into parts of nearly equal size, each of at most `max_runs` runs."""
        count = -(-len(self.runs) // max_runs)
        bounds = [len(self.runs) * index // count for index in range(count + 1)]
        return [self.take(self.runs[low:high], predict) for low, high in pairwise(bounds)]


class Kind(NamedTuple):
    """What a device has to have loaded for a launch."""

    key: tuple[
        Hashable, ...
    ]  # what all runs of the launch have equal: another key needs another load of the model
    controls: Signature  # whose branches are loaded

    @property
    def label(self) -> str:
        """The same text for the same kind, whatever process makes it."""
        return "|".join(map(str, (*self.key, "+".join(self.controls))))


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of an engine: one model load, one or more batches."""

    index: int  # 0-based place in the plan
    controls: Signature  # the branches that the launch loads
    batches: tuple[Batch, ...]
    load_seconds: float  # predicted
    reason: str  # why these runs are together, and not with others
    key: tuple[Hashable, ...] = ()  # the values of the engine's launch keys, equal for all runs

    @property
    def kind(self) -> Kind:
        """What a device has to have loaded for it."""
        return Kind(self.key, self.controls)

    @property
    def runs(self) -> tuple[ResolvedRun, ...]:
        """Every run of the launch, in the order of execution."""
        batches = self.batches
        return batches[0].runs if len(batches) == 1 else tuple(run for batch in batches for run in batch.runs)

    @property
    def batch_size(self) -> int:
        """Runs of the largest batch. Where the engine is not ragged, all batches but the last have this size."""
        return max(len(batch.runs) for batch in self.batches)

    @property
    def seconds(self) -> float:
        """Predicted wall time, model load included."""
        return self.load_seconds + sum(batch.seconds for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Plan:
    """Launches in the order of execution, with predictions to compare them with."""

    engine: str
    launches: tuple[Launch, ...]
    one_by_one_seconds: float  # predicted: each run its own launch, with its own controls
    forced_seconds: float  # predicted: each run its own launch, with every control that any run uses
    error: float | None  # median |predicted - measured| / measured of past batches; None: nothing measured

    @property
    def seconds(self) -> float:
        """Predicted wall time of the whole plan on one device."""
        return sum(launch.seconds for launch in self.launches)

    def saving(self, seconds: float) -> float:
        """The share of `seconds` that the plan saves, to nine decimals: sums that differ by rounding save 0."""
        return round(1 - self.seconds / seconds, 9) + 0.0 if seconds else 0.0  # + 0.0 makes -0.0 positive

    @property
    def bytes(self) -> int:
        """Predicted peak of the device's memory over the whole plan."""
        return max((batch.bytes for launch in self.launches for batch in launch.batches), default=0)


def _batch_to_dict(batch: Batch) -> dict[str, Any]:
    return {
        "runs": [run.id for run in batch.runs],
        "controls": list(batch.signature),
        "width": batch.shape.width,
        "height": batch.shape.height,
        "frames": batch.shape.frames,
        "output_sizes": [{"width": width, "height": height} for width, height in batch.output_sizes],
        "seconds": batch.seconds,
        "bytes": batch.bytes,
    }


def _launch_to_dict(launch: Launch) -> dict[str, Any]:
    return {
        "index": launch.index,
        "controls": list(launch.controls),
        "reason": launch.reason,
        "batch_size": launch.batch_size,
        "load_seconds": launch.load_seconds,
        "seconds": launch.seconds,
        "batches": [_batch_to_dict(batch) for batch in launch.batches],
    }


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready values; runs are named by their ids, times are seconds, sizes bytes and pixels."""
    return {
        "engine": plan.engine,
        "runs": sum(len(batch.runs) for launch in plan.launches for batch in launch.batches),
        "batches": sum(len(launch.batches) for launch in plan.launches),
        "seconds": plan.seconds,
        "bytes": plan.bytes,
        "one_by_one_seconds": plan.one_by_one_seconds,
        "forced_seconds": plan.forced_seconds,
        "error": plan.error,
        "launches": [_launch_to_dict(launch) for launch in plan.launches],
    }
