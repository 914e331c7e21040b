"""The network's pass over all samples of a batch: base, branches, guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import GraphCache
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, PreparedSample, Velocity, apply_guidance
from cosmos_batch.engines.inprocess.transfer25.batch_layout import Layout, LayoutBuilder, ReadText
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer

KNOWN_SIGMA = 0.1
"""Noise level at which the published model reads latent frames that are given."""


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """How a model's network reads noise levels."""

    known_sigma: float = KNOWN_SIGMA  # in place of the level of a latent frame that is given
    rounded: bool = False  # to bfloat16, as NVIDIA's code passes them to the distilled network

    def read(self, sigma: Tensor, known: Tensor | None) -> Tensor:
        """Noise levels [B], given frames [B, T] (None: none) -> levels of the frames, [B, T] or [B, 1]."""
        levels = sigma[:, None]
        if known is not None:
            levels = torch.where(known > 0, self.known_sigma, levels)
        return levels.to(torch.bfloat16).to(sigma.dtype) if self.rounded else levels


class Forward:
    """All rows of all samples in one pass, on one device."""

    def __init__(
        self,
        base: Transformer,
        branch: Callable[[str], ControlBranch],
        read: ReadText,
        device: torch.device,
        graphs: GraphCache[Layout] | None = None,
        levels: NoiseLevels = NoiseLevels(),
    ) -> None:
        """Take the network in.

        Args:
            base: the base network.
            branch: gives a control's branch.
            read: gives a prompt's keys and values for a network.
            device: where all of them compute.
            graphs: records small steps; then the weights must stay in their places. None: nothing is recorded.
            levels: how the network reads noise levels.
        """
        self.device = device
        self._base = base
        self._branch = branch
        self._levels = levels
        self._dtype = base.patch.weight.dtype
        self._layouts = LayoutBuilder(base.config, read, device, self._dtype)
        self._graphs = GraphCache[Layout](torch.device("cpu")) if graphs is None else graphs

    def tokens(self, conditions: Conditioning) -> dict[str, Tensor]:
        """Compute the tokens of each control video of a sample, [1, N, D]: the same at every step."""
        known = to_device(conditions.known, self.device)
        return {
            name: self._branch(name).embed(to_device(guide.latents, self.device).to(self._dtype), known)
            for name, guide in conditions.guides.items()
        }

    def arranged(self, samples: Sequence[PreparedSample]) -> Velocity:
        """Lay out the network's pass over these samples, in this order."""
        layout = self._layouts.arrange(samples)
        return lambda sample, sigma: self._graphs.run(self._velocity, layout, sample, sigma)

    def forget(self) -> None:
        """Free the recordings of small steps."""
        self._graphs.forget()

    def _velocity(self, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        flag = layout.known[:, None, :, None, None]
        read = sample if layout.blended is None else layout.blended.blended(sample, sigma)
        latents = torch.where(flag > 0, layout.given, read)
        levels = self._levels.read(sigma, None if layout.none_known else layout.known)
        patches = self._base.patches(latents, layout.known).to(self._dtype)
        residuals = self._residuals(layout, patches, levels)
        out = self._base(patches, levels, layout.text, residuals, layout.rotary, layout.sample_of_row)
        rows = self._base.unpatch(out, *latents.shape[2:]).float()
        guided, rest = rows[: len(sample)], rows[len(sample) :]
        if len(rest):
            guided = apply_guidance(guided, rest, layout.unguided, layout.guidance)
        return torch.where(flag > 0, layout.drift, guided)

    def _residuals(self, layout: Layout, patches: Tensor, levels: Tensor) -> list[Tensor]:
        """The weighted sum of the branches' residuals [R, N, D], per injection."""
        totals: list[Tensor] = []
        for rows in layout.branches:
            branch = self._branch(rows.name)
            noisy, noise = patches[rows.samples], levels[rows.samples]
            parts = branch(noisy, noise, rows.tokens, rows.text, layout.rotary, rows.sample_of_row)
            for place, part in enumerate(parts):
                weighted = part.mul_(rows.weight)
                if place < len(totals):
                    _add(totals[place], weighted, rows.rows)
                else:
                    totals.append(_spread(weighted, rows.rows, layout.rows))
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
