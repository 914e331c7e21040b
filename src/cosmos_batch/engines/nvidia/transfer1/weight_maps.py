"""Weights as maps, which Transfer1 needs where the runs of a tensor batch differ in their weights.

It multiplies the control features of a whole tensor batch by the first sample's numbers, but uses each sample's
own maps. One map makes it read all weights of its sample as maps, so that one is enough.
"""

from __future__ import annotations

from pathlib import Path

from cosmos_batch.media.atomic import replacing
from cosmos_batch.planning.batch_keys import is_map
from cosmos_batch.run import Control, Run

_SIDE = 2  # pixels: the script stretches a map to the picture's size


def control_to_map(run: Run) -> Control | None:
    """The control whose weight becomes a map in a mixed tensor batch; None where the run has a map of its own."""
    if any(is_map(control) for control in run.active):
        return None
    return next(iter(run.active), None)


def map_name(weight: float) -> str:
    """File name of the map of one weight."""
    return f"weight_{weight:.17g}.pt"


def write_constant_map(folder: Path, weight: float) -> Path:
    """Write a map [2, 2] of one weight, in double precision, so that it reads back as the same number.

    Raises StorageError if it cannot be written.
    """
    import torch

    path = folder / map_name(weight)
    if not path.exists():
        with replacing(path) as part:
            torch.save(torch.full((_SIDE, _SIDE), weight, dtype=torch.float64), part)
    return path
