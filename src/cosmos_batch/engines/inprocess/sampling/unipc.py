"""One UniPC step for samples that each stand at their own place of their own schedule. Pure functions."""

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
    """What the solver remembers of each sample; all float32 [B, C, T, H, W]."""

    sample: Tensor  # the noisy latents that the next step starts from
    last: Tensor  # the corrected sample that the step before started from
    newer: Tensor  # clean latents as the step before predicted them
    older: Tensor  # the same, one step earlier

    @classmethod
    def start(cls, sample: Tensor) -> SolverState:
        """The memory of samples that have done no step."""
        nothing = torch.zeros_like(sample)
        return cls(sample, nothing, nothing, nothing)

    def rows(self, index: Sequence[int]) -> SolverState:
        """The memory of some of the samples, in the given order."""
        picked = to_device(torch.tensor(index), self.sample.device)
        return SolverState(*(getattr(self, field.name)[picked] for field in fields(self)))

    def to(self, device: torch.device) -> SolverState:
        """The same on another device."""
        return SolverState(*(to_device(getattr(self, field.name), device) for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[SolverState]) -> SolverState:
        """One memory of all samples of the parts."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class StepCoefficients:
    """What one step of B samples is computed with, each float32 [B, 1, 1, 1, 1]; see `schedule.COLUMNS`."""

    sigma: Tensor
    first: Tensor
    corrector: tuple[Tensor, ...]
    predictor: tuple[Tensor, ...]
    trend: tuple[Tensor, ...]

    @classmethod
    def of(cls, tables: Sequence[Tensor], steps: Sequence[int]) -> StepCoefficients:
        """Of samples with these schedules' tables, at these steps. On a GPU nothing waits for it."""
        rows = torch.stack([table[step] for table, step in zip(tables, steps, strict=True)])
        columns = [column.view(-1, 1, 1, 1, 1) for column in rows.unbind(dim=1)]
        ends = list(accumulate(COLUMNS))
        (sigma,), (first,), *rest = (tuple(columns[end - n : end]) for n, end in zip(COLUMNS, ends, strict=True))
        return cls(sigma, first, *rest)


def estimated_velocity(memory: SolverState, numbers: StepCoefficients) -> Tensor:
    """The velocity [B, C, T, H, W] of every sample if its clean prediction goes on as it went.

    Of use from a sample's third step on.
    """
    newer, older = numbers.trend
    return (memory.sample - newer * memory.newer - older * memory.older) / numbers.sigma


def unipc_step(memory: SolverState, velocity: Tensor, numbers: StepCoefficients) -> SolverState:
    """Advance every sample one step.

    Args:
        memory: of B samples.
        velocity: guided prediction at `memory.sample`, float32 [B, C, T, H, W].
        numbers: of each sample's step.
    """
    x = memory.sample
    clean = x - numbers.sigma * velocity
    last, two_back, one_back, now = numbers.corrector
    corrected = last * memory.last + two_back * memory.older + one_back * memory.newer + now * clean
    corrected = torch.where(numbers.first > 0, x, corrected)
    sample, here, before = numbers.predictor
    return SolverState(sample * corrected + here * clean + before * memory.newer, corrected, clean, memory.newer)
