"""Conditioning of a chunk: noise, given frames, control weights, schedule. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.family import Chunk, ChunkControl
from cosmos_batch.engines.inprocess.model_settings import Sampler
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, ControlInput
from cosmos_batch.engines.inprocess.sampling.schedule import Schedule
from cosmos_batch.engines.inprocess.sampling.source_blend import SourceBlend, latent_mask
from cosmos_batch.engines.inprocess.transfer25.schedule import distilled_schedule, make_schedule
from cosmos_batch.run import ResolvedSampling


def conditioning(chunk: Chunk, patch: int, sampler: Sampler) -> Conditioning:
    """Compute the conditioning of a chunk; `patch` counts latent pixels per token side."""
    sampling = chunk.sampling
    known, given = _given(chunk)
    schedule = _schedule(sampling, sampler)
    weights = normalised({name: _weight(control, chunk, patch) for name, control in chunk.controls.items()})
    return Conditioning(
        schedule=schedule,
        guidance=sampling.guidance,
        prompt=chunk.prompt,
        negative=sampling.negative_prompt,
        guides={name: ControlInput(control.latents, weights[name]) for name, control in chunk.controls.items()},
        known=known,
        given=given,
        noise=noise(sampling.seed, chunk.index, chunk.shape),
        blend=_blend(chunk, schedule),
    )


def _blend(chunk: Chunk, schedule: Schedule) -> SourceBlend | None:
    """The guided generation of a chunk; its last step is found again by the step's noise level."""
    if chunk.source is None:
        return None
    last = min(chunk.source.step_threshold, schedule.steps - 1)
    _, _, height, width = chunk.shape
    return SourceBlend(
        source=chunk.source.latents.float(),
        mask=latent_mask(chunk.source.mask, chunk.temporal, (height, width)),
        lowest=float(schedule.table[last, 0]),
    )


def _schedule(sampling: ResolvedSampling, sampler: Sampler) -> Schedule:
    if sampler == "distilled":
        return distilled_schedule(sampling.num_steps)
    return make_schedule(sampling.num_steps, sampling.sigma_max)


def _given(chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Which latent frames are given by the chunk before [1, T], and their latents [1, C, T, H, W]."""
    known = torch.zeros(1, chunk.shape[1])
    given = torch.zeros(1, *chunk.shape)
    if chunk.before is not None:
        count = chunk.before.shape[2]
        known[:, :count] = 1
        given[:, :, :count] = chunk.before
    return known, given


def _weight(control: ChunkControl, chunk: Chunk, patch: int) -> Tensor:
    if control.mask is None:
        return torch.tensor(control.weight)
    return control.weight * token_weight(control.mask, chunk.spatial * patch, chunk.temporal)


def noise(seed: int, chunk: int, shape: Sequence[int]) -> Tensor:
    """Unit noise [1, C, T, H, W] of one chunk, float32: the same on every machine and in any batch.

    The first chunk's generator is seeded with the seed itself, as diffusers does; a later one's with a digest of
    seed and chunk, so that no two chunks of any seeds share their noise.
    """
    if chunk:
        digest = hashlib.blake2b(f"{seed}/{chunk}".encode(), digest_size=8).digest()
        seed = int.from_bytes(digest) >> 1
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def token_weight(mask: NDArray[np.float32], spatial: int, temporal: int) -> Tensor:
    """A mask [F, height, width] in 0..1 of one chunk -> its mean over each token's pixels, [N].

    The first latent frame stands for the first frame alone. `spatial` counts pixels per token side.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(mask))
    first, rest = pixels[:1], pixels[1:].unflatten(0, ((len(pixels) - 1) // temporal, temporal)).mean(dim=1)
    return F.avg_pool2d(torch.cat((first, rest)).unsqueeze(1), spatial).flatten()


def normalised(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Control weights as they are applied: divided by their sum where, token by token, that exceeds 1.

    As NVIDIA's Transfer1 does with all weights and Transfer2.5 with masked ones. Scalars stay scalars.
    """
    if not weights:
        return {}
    total = torch.stack(torch.broadcast_tensors(*weights.values())).sum(dim=0).clamp(min=1)
    return {name: weight / total for name, weight in weights.items()}
