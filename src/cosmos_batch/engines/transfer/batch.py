"""The running batch: samples that go through the network together and join or leave at any denoising step.

Each sample stands at its own step of its own schedule, with its own prompt, guidance, control set and weights.
A control branch runs on just those rows whose sample uses it. What does not change while a sample is denoised
(text keys and values, control tokens) is computed when it joins, and stacked when the membership changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cosmos_batch.engines.transfer.graphs import Recorder
from cosmos_batch.engines.transfer.layout import Arranger, Layout, ReadText, Sample
from cosmos_batch.engines.transfer.layout import Conditions as Conditions
from cosmos_batch.engines.transfer.layout import Guide as Guide
from cosmos_batch.engines.transfer.network import ControlBranch, Transformer
from cosmos_batch.engines.transfer.sampler import Memory, unipc_step

KNOWN_SIGMA = 0.1
"""Noise level at which the published model reads latent frames that are given."""


class Batch:
    """Samples of one latent shape, denoised together."""

    def __init__(
        self, base: Transformer, branch: Callable[[str], ControlBranch], read: ReadText, device: torch.device
    ) -> None:
        self._base = base
        self._branch = branch
        self._device = device
        self._dtype = base.patch.weight.dtype
        self._arranger = Arranger(base.config, read, device, self._dtype)
        self._samples: dict[str, Sample] = {}
        self._steps: dict[str, int] = {}
        self._memory: Memory | None = None
        self._layout: Layout | None = None
        self._recorder = Recorder(device)

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples in the batch, in the order in which they joined."""
        return tuple(self._samples)

    @torch.no_grad()
    def join(self, key: str, conditions: Conditions, memory: Memory | None = None, step: int = 0) -> None:
        """Take a sample in: fresh, or with the memory and place that it left with.

        Raises ValueError if its latent shape is not the batch's.
        """
        start = memory or Memory.start(conditions.noise)
        if self._memory is not None and start.sample.shape[1:] != self._memory.sample.shape[1:]:
            raise ValueError(f"latents {list(start.sample.shape[1:])} in a batch of another shape")
        known = conditions.known.to(self._device)
        tokens = {
            name: self._branch(name).embed(guide.latents.to(self._device, self._dtype), known)
            for name, guide in conditions.guides.items()
        }
        flag = known[:, None, :, None, None]
        drift = (conditions.noise - conditions.given).to(self._device) * flag
        self._samples[key] = Sample(conditions, tokens, drift)
        self._steps[key] = step
        mine = start.to(self._device)
        self._memory = Memory.join([self._memory, mine]) if self._memory is not None else mine
        self._layout = None

    def state(self, key: str) -> tuple[Memory, int]:
        """A sample's memory, on the CPU, and the number of steps that it has done."""
        assert self._memory is not None
        return self._memory.rows([self.keys.index(key)]).to(torch.device("cpu")), self._steps[key]

    def leave(self, key: str) -> None:
        """Take a sample out."""
        assert self._memory is not None
        rest = [index for index, other in enumerate(self.keys) if other != key]
        self._memory = self._memory.rows(rest) if rest else None
        del self._samples[key], self._steps[key]
        self._layout = None

    def steps_done(self, key: str) -> int:
        """How many steps a sample has done."""
        return self._steps[key]

    def done(self, key: str) -> bool:
        """Whether a sample has done all its steps."""
        return self._steps[key] == self._samples[key].conditions.schedule.steps

    @torch.no_grad()
    def step(self) -> None:
        """Take every sample one step further. If it raises, every sample is as it was before."""
        assert self._memory is not None
        layout = self._layout or self._arranger.arrange(list(self._samples.values()))
        self._layout = layout
        keys = self.keys
        schedules = [self._samples[key].conditions.schedule for key in keys]
        steps = [self._steps[key] for key in keys]
        sigma = torch.stack([s.sigmas[step] for s, step in zip(schedules, steps, strict=True)]).float()
        tokens = layout.rows * layout.table.cos.shape[0]
        velocity = self._recorder.run(
            lambda x, levels: self._velocity(layout, x, levels),
            layout,
            tokens,
            self._memory.sample,
            sigma.to(self._device),
        )
        self._memory = unipc_step(self._memory, velocity, schedules, steps)
        self._steps = {key: step + 1 for key, step in zip(keys, steps, strict=True)}

    def _velocity(self, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        """Guided velocity [B, C, T, H, W] of noisy latents at noise levels [B]."""
        flag = layout.known[:, None, :, None, None]
        latents = torch.where(flag > 0, layout.given, sample)
        levels = sigma[:, None]
        if not layout.none_known:
            levels = torch.where(layout.known > 0, KNOWN_SIGMA, levels)
        patches = self._base.patches(latents, layout.known).to(self._dtype)
        residuals = self._residuals(layout, patches, levels)
        out = self._base(patches, levels, layout.text, residuals, layout.table, layout.sample_of_row)
        rows = self._base.unpatch(out, *latents.shape[2:]).float()
        guided, rest = rows[: len(sample)], rows[len(sample) :]
        if len(rest):
            pull = layout.guidance * (guided[layout.unguided] - rest)
            guided = guided.index_add(0, layout.unguided, pull)
        return torch.where(flag > 0, layout.drift, guided)

    def _residuals(self, layout: Layout, patches: Tensor, levels: Tensor) -> list[Tensor]:
        """The weighted sum of the branches' residuals [R, N, D], per injection."""
        totals: list[Tensor] = []
        for lane in layout.lanes:
            branch = self._branch(lane.name)
            noisy, noise = patches[lane.samples], levels[lane.samples]
            parts = branch(noisy, noise, lane.tokens, lane.text, layout.table, lane.sample_of_row)
            for place, part in enumerate(parts):
                weighted = part.mul_(lane.weight)
                if place < len(totals):
                    _add(totals[place], weighted, lane.rows)
                else:
                    totals.append(_spread(weighted, lane.rows, layout.rows))
        return totals


def _spread(part: Tensor, rows: Tensor | None, count: int) -> Tensor:
    """Some rows of a total as a total of so many rows, zero elsewhere."""
    if rows is None:
        return part
    return part.new_zeros(count, *part.shape[1:]).index_copy_(0, rows, part)


def _add(total: Tensor, part: Tensor, rows: Tensor | None) -> None:
    """Add to all rows of a total, or to some."""
    if rows is None:
        total.add_(part)
    else:
        total.index_add_(0, rows, part)
