"""A picture in overlapping tiles, blended where they overlap: bounds the memory of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor


def starts(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles of `tile` cells begin that cover `size` cells, overlapping by at least `overlap`."""
    if size <= tile:
        return [0]
    return [*range(0, size - tile, tile - overlap), size - tile]


def ramp(length: int, edge: int, like: Tensor) -> Tensor:
    """Weights [length] that rise to 1 over `edge` cells from either end; never 0."""
    place = torch.arange(length, device=like.device, dtype=torch.float32) + 0.5
    return (torch.minimum(place, length - place) / max(edge, 1)).clamp(max=1.0)


def blended(
    compute: Callable[[Tensor], Tensor], x: Tensor, tile: int, overlap: int, cell_in: int, cell_out: int
) -> Tensor:
    """`compute` applied tile by tile.

    Args:
        compute: maps [..., h * cell_in, w * cell_in] to [..., h * cell_out, w * cell_out].
        x: [..., H * cell_in, W * cell_in].
        tile: height and width of a tile, in cells.
        overlap: least overlap of neighbouring tiles, in cells; smaller than `tile`.
        cell_in: pixels of a cell in `x`.
        cell_out: pixels of a cell in the result.
    """
    rows, columns = x.shape[-2] // cell_in, x.shape[-1] // cell_in
    high, wide = min(tile, rows), min(tile, columns)
    total: Tensor | None = None
    for top, left in product(starts(rows, tile, overlap), starts(columns, tile, overlap)):
        made = compute(_window(x, top, left, high, wide, cell_in))
        if total is None:
            total = made.new_zeros(*made.shape[:-2], rows * cell_out, columns * cell_out)
            across = ramp(wide * cell_out, overlap * cell_out, made)
            weight = ramp(high * cell_out, overlap * cell_out, made)[:, None] * across
            weights = weight.new_zeros(rows * cell_out, columns * cell_out)
        _window(total, top, left, high, wide, cell_out).add_(made * weight)
        _window(weights, top, left, high, wide, cell_out).add_(weight)
    assert total is not None  # there is always at least one tile
    return total.div_(weights)


def _window(x: Tensor, top: int, left: int, high: int, wide: int, cell: int) -> Tensor:
    return x[..., top * cell : (top + high) * cell, left * cell : (left + wide) * cell]
