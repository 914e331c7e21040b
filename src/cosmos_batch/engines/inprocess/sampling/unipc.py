"""One UniPC step for samples that are each at their own step of their own schedule. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.sampling.schedule import COLUMNS


@dataclass(frozen=True, slots=True)
class SolverState:
    """State of the solver for each sample; all float32 [B, C, T, H, W]."""

    sample: Tensor  # the noisy latents that the next step starts from
    last: Tensor  # the corrected sample that the step before started from
    newer: Tensor  # clean latents as the step before predicted them
    older: Tensor  # the same, one step earlier

    @classmethod
    def start(cls, sample: Tensor) -> SolverState:
        """State of samples that have done no step."""
        nothing = torch.zeros_like(sample)
        return cls(sample, nothing, nothing, nothing)

    def rows(self, index: Sequence[int]) -> SolverState:
        """State of some of the samples, in the given order."""
        picked = to_device(torch.tensor(index), self.sample.device)
        return SolverState(*(getattr(self, field.name)[picked] for field in fields(self)))

    def to(self, device: torch.device) -> SolverState:
        """Copy it to another device."""
        return SolverState(*(to_device(getattr(self, field.name), device) for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[SolverState]) -> SolverState:
        """Join the states of several batches."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class StepCoefficients:
    """Coefficients of one step of B samples, each float32 [B, 1, 1, 1, 1]; see `schedule.COLUMNS`."""

    sigma: Tensor
    first: Tensor
    corrector: tuple[Tensor, ...]
    predictor: tuple[Tensor, ...]
    trend: tuple[Tensor, ...]

    @classmethod
    def of(cls, tables: Sequence[Tensor], steps: Sequence[int]) -> StepCoefficients:
        """Gather them from the samples' tables at these steps, asynchronously on a GPU."""
        rows = torch.stack([table[step] for table, step in zip(tables, steps, strict=True)])
        columns = [column.view(-1, 1, 1, 1, 1) for column in rows.unbind(dim=1)]
        ends = list(accumulate(COLUMNS))
        (sigma,), (first,), *rest = (tuple(columns[end - n : end]) for n, end in zip(COLUMNS, ends, strict=True))
        return cls(sigma, first, *rest)


def estimated_velocity(state: SolverState, coefficients: StepCoefficients) -> Tensor:
    """The velocity [B, C, T, H, W] of every sample if its clean prediction continues on a straight line.

    Defined from a sample's third step on.
    """
    newer, older = coefficients.trend
    return (state.sample - newer * state.newer - older * state.older) / coefficients.sigma


def unipc_step(state: SolverState, velocity: Tensor, coefficients: StepCoefficients) -> SolverState:
    """Advance every sample one step.

    Args:
        state: of B samples.
        velocity: guided prediction at `state.sample`, float32 [B, C, T, H, W].
        coefficients: of each sample's step.
    """
    x = state.sample
    clean = x - coefficients.sigma * velocity
    last, two_back, one_back, now = coefficients.corrector
    corrected = last * state.last + two_back * state.older + one_back * state.newer + now * clean
    corrected = torch.where(coefficients.first > 0, x, corrected)
    sample, here, before = coefficients.predictor
    return SolverState(sample * corrected + here * clean + before * state.newer, corrected, clean, state.newer)
