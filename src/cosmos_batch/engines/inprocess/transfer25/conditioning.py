"""From a run's videos to what the network reads: chunks, control latents, weights, noise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.host_device import to_device

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames


def chunk_starts(frames: int, chunk_frames: int, overlap: int) -> list[int]:
    """First frame of each chunk of a video of so many frames; chunks overlap by `overlap` frames."""
    return list(range(0, max(frames - overlap, 1), chunk_frames - overlap))


def chunk_of(frames: Frames, start: int, chunk_frames: int) -> Frames:
    """`chunk_frames` frames from `start` on; past the end, the last frame stands still."""
    if start + chunk_frames <= len(frames):
        return frames[start : start + chunk_frames]  # no copy: a chunk may have a quarter of a gigabyte
    index = np.minimum(np.arange(start, start + chunk_frames), len(frames) - 1)
    return frames[index]


def to_video(frames: Frames, device: torch.device, dtype: torch.dtype) -> Tensor:
    """uint8 frames [F, height, width, 3] -> [1, 3, F, height, width] in -1..1."""
    pixels = to_device(torch.from_numpy(np.ascontiguousarray(frames)), device)
    return pixels.permute(3, 0, 1, 2).unsqueeze(0).to(dtype) / 127.5 - 1


def noise(seed: int, chunk: int, shape: Sequence[int]) -> Tensor:
    """Unit noise [1, C, T, H, W] of one chunk, float32: the same on every machine, whatever the run's company.

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
    first, rest = pixels[:1], pixels[1:].unflatten(0, (-1, temporal)).mean(dim=1)
    return F.avg_pool2d(torch.cat((first, rest)).unsqueeze(1), spatial).flatten()


def normalised(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Control weights as they are applied: divided by their sum where, token by token, that exceeds 1.

    As NVIDIA's Transfer1 does with all weights and Transfer2.5 with masked ones. Scalars stay scalars.
    """
    if not weights:
        return {}
    total = torch.stack(torch.broadcast_tensors(*weights.values())).sum(dim=0).clamp(min=1)
    return {name: weight / total for name, weight in weights.items()}
