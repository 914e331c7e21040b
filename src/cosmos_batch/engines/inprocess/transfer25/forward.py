"""The network's pass over all samples of a batch: base, branches, guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import GraphCache
from cosmos_batch.engines.inprocess.transfer25.batch_layout import (
    Conditioning,
    Layout,
    LayoutBuilder,
    PreparedSample,
    ReadText,
)
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer

KNOWN_SIGMA = 0.1
"""Noise level at which the published model reads latent frames that are given."""

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Noisy latents [B, C, T, H, W] and their noise levels [B], float32 -> the guided velocity, float32, valid until
the next call."""


class Passes(Protocol):
    """What a batch needs of the network."""

    @property
    def device(self) -> torch.device:
        """Where latents are."""

    def tokens(self, conditions: Conditioning) -> dict[str, Tensor]:
        """The tokens of each control video of a sample, [1, N, D]: the same at every step."""

    def arranged(self, samples: Sequence[PreparedSample]) -> Velocity:
        """The network's pass over these samples, in this order."""

    def forget(self) -> None:
        """Free what is kept between steps and can be made anew."""


class Forward:
    """All rows of all samples in one pass, on one device."""

    def __init__(
        self,
        base: Transformer,
        branch: Callable[[str], ControlBranch],
        read: ReadText,
        device: torch.device,
        *,
        record: bool = True,
    ) -> None:
        """`record`: whether small steps may be recorded, on a GPU; then the weights must stay where they are."""
        self.device = device
        self._base = base
        self._branch = branch
        self._dtype = base.patch.weight.dtype
        self._arranger = LayoutBuilder(base.config, read, device, self._dtype)
        self._recorder = GraphCache(device) if record else GraphCache(torch.device("cpu"))

    def tokens(self, conditions: Conditioning) -> dict[str, Tensor]:
        """The tokens of each control video of a sample, [1, N, D]: the same at every step."""
        known = to_device(conditions.known, self.device)
        return {
            name: self._branch(name).embed(to_device(guide.latents, self.device).to(self._dtype), known)
            for name, guide in conditions.guides.items()
        }

    def arranged(self, samples: Sequence[PreparedSample]) -> Velocity:
        """The network's pass over these samples, in this order."""
        layout = self._arranger.arrange(samples)
        return lambda sample, sigma: self._recorder.run(self._velocity, layout, sample, sigma)

    def forget(self) -> None:
        """Free the recordings of small steps."""
        self._recorder.forget()

    def _velocity(self, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
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
            guided = apply_guidance(guided, rest, layout.unguided, layout.guidance)
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


def apply_guidance(guided: Tensor, unguided: Tensor, samples: Tensor, guidance: Tensor) -> Tensor:
    """Classifier-free guidance c + g (c - u), for the samples that have an unguided velocity u.

    Args:
        guided: c of all samples, [B, C, T, H, W].
        unguided: u of some, [u, C, T, H, W].
        samples: which these are, [u].
        guidance: their g, [u, 1, 1, 1, 1].
    """
    return guided.index_add(0, samples, guidance * (guided[samples] - unguided))


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
