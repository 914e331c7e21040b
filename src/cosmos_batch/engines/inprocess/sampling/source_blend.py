"""Guided generation: in the first steps the network reads, within a mask, the input video at the noise level.

The solver goes on from the latents themselves, as in cosmos-transfer2.5,
transfer2/models/vid2vid_model_control_vace_rectified_flow.py, `generate_samples_from_batch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.host_device import to_device


@dataclass(frozen=True, slots=True)
class SourceBlend:
    """Guided generation of one chunk of one run."""

    source: Tensor  # [1, C, T, H, W] float32: clean latents of the input video
    mask: Tensor  # [1, 1, T, H, W] float32 in 0..1: 1 where they are read
    lowest: float  # noise level of the last step in which they are read


@dataclass(frozen=True, slots=True)
class BlendedSamples:
    """The samples of a batch that have guided generation."""

    samples: Tensor  # [g]: indices into the batch's samples
    source: Tensor  # [g, C, T, H, W]
    mask: Tensor  # [g, 1, T, H, W]
    noise: Tensor  # [g, C, T, H, W]: what each sample started from
    lowest: Tensor  # [g, 1, 1, 1, 1]

    @classmethod
    def of(
        cls, blends: Sequence[SourceBlend | None], noises: Sequence[Tensor], device: torch.device
    ) -> BlendedSamples | None:
        """Those of some samples that have it, with their noise [1, C, T, H, W]; None: none has."""
        found = [(place, blend) for place, blend in enumerate(blends) if blend is not None]
        if not found:
            return None
        places, own = zip(*found, strict=True)
        return cls(
            samples=to_device(torch.tensor(places), device),
            source=torch.cat([to_device(blend.source, device) for blend in own]),
            mask=torch.cat([to_device(blend.mask, device) for blend in own]),
            noise=torch.cat([to_device(noises[place], device) for place in places]),
            lowest=to_device(torch.tensor([blend.lowest for blend in own]), device).view(-1, 1, 1, 1, 1),
        )

    def blended(self, sample: Tensor, sigma: Tensor) -> Tensor:
        """What the network reads: (source (1 - s) + s noise) m + sample (1 - m) at noise level s within mask m.

        Below a sample's lowest level, and for other samples, it is the sample itself, bit for bit.

        Args:
            sample: latents of the batch, float32 [B, C, T, H, W].
            sigma: their noise levels, [B].
        """
        level, own = sigma[self.samples].view(-1, 1, 1, 1, 1), sample[self.samples]
        noisy = self.source * (1 - level) + self.noise * level
        made = noisy * self.mask + own * (1 - self.mask)
        return sample.index_copy(0, self.samples, torch.where(level >= self.lowest, made, own))


def latent_mask(mask: NDArray[np.float32], temporal: int, size: tuple[int, int]) -> Tensor:
    """A mask [F, height, width] of one chunk -> one of its latents, [1, 1, T, H, W], where `size` is (H, W).

    The first frame, and then every `temporal` frames together, by trilinear interpolation as NVIDIA's
    `construct_latent_weight_map` does it (transfer2/inference/inference_pipeline.py): from the centres alone, so
    of four frames the middle two count, and of 8 x 8 pixels the middle four.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
    groups = [pixels[:, :, :1], *pixels[:, :, 1:].split(temporal, dim=2)] if pixels.shape[2] > 1 else [pixels]
    return torch.cat([F.interpolate(group, (1, *size), mode="trilinear") for group in groups], dim=2)
