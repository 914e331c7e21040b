"""One UniPC step for samples that each stand at their own place of their own schedule. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from cosmos_batch.engines.transfer.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Memory:
    """What the solver remembers of each sample; all float32 [B, C, T, H, W]."""

    sample: Tensor  # the noisy latents that the next step starts from
    last: Tensor  # the corrected sample that the step before started from
    newer: Tensor  # clean latents as the step before predicted them
    older: Tensor  # the same, one step earlier

    @classmethod
    def start(cls, sample: Tensor) -> Memory:
        """The memory of samples that have done no step."""
        nothing = torch.zeros_like(sample)
        return cls(sample, nothing, nothing, nothing)

    def rows(self, index: Sequence[int]) -> Memory:
        """The memory of some of the samples, in the given order."""
        picked = torch.tensor(index, device=self.sample.device)
        return Memory(*(getattr(self, field.name)[picked] for field in fields(self)))

    def to(self, device: torch.device) -> Memory:
        """The same on another device."""
        return Memory(*(getattr(self, field.name).to(device) for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Memory]) -> Memory:
        """One memory of all samples of the parts."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def _gather(tables: Sequence[Tensor], steps: Sequence[int], like: Tensor) -> tuple[Tensor, ...]:
    rows = torch.stack([table[step] for table, step in zip(tables, steps, strict=True)])
    column = (len(steps), *[1] * (like.dim() - 1))
    return tuple(part.to(like).view(column) for part in rows.unbind(dim=1))


def estimated_velocity(memory: Memory, schedules: Sequence[Schedule], steps: Sequence[int]) -> Tensor:
    """The velocity [B, C, T, H, W] of every sample if its clean prediction goes on as it went.

    Of use from a sample's third step on.
    """
    x = memory.sample
    (sigma,) = _gather([s.sigmas[:, None] for s in schedules], steps, x)
    newer, older = _gather([s.trend for s in schedules], steps, x)
    return (x - newer * memory.newer - older * memory.older) / sigma


def unipc_step(memory: Memory, velocity: Tensor, schedules: Sequence[Schedule], steps: Sequence[int]) -> Memory:
    """Advance every sample one step.

    Args:
        memory: of B samples.
        velocity: guided prediction at `memory.sample`, float32 [B, C, T, H, W].
        schedules: of each sample.
        steps: how many steps each sample has done.
    """
    x = memory.sample
    (sigma,) = _gather([s.sigmas[:, None] for s in schedules], steps, x)
    clean = x - sigma * velocity
    last, two_back, one_back, now = _gather([s.corrector for s in schedules], steps, x)
    corrected = last * memory.last + two_back * memory.older + one_back * memory.newer + now * clean
    first = torch.tensor([step == 0 for step in steps], device=x.device).view_as(last)
    corrected = torch.where(first, x, corrected)
    sample, here, before = _gather([s.predictor for s in schedules], steps, x)
    return Memory(sample * corrected + here * clean + before * memory.newer, corrected, clean, memory.newer)
