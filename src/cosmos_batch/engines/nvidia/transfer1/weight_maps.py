"""Weights as maps, which Transfer1 needs where the runs of a tensor batch differ in their weights.

It multiplies the control features of a whole tensor batch by the first sample's numbers, but uses each sample's
own maps.
"""

from __future__ import annotations

from pathlib import Path

import torch

from cosmos_batch.media.atomic import replacing

_SIDE = 2  # pixels: the script stretches a map to the picture's size


def write_constant_map(folder: Path, weight: float) -> Path:
    """Write a map [2, 2] of one weight, in double precision, so that it reads back as the same number.

    Raises StorageError if it cannot be written.
    """
    path = folder / f"weight_{weight:.17g}.pt"
    if not path.exists():
        with replacing(path) as part:
            torch.save(torch.full((_SIDE, _SIDE), weight, dtype=torch.float64), part)
    return path
