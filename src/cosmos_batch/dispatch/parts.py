"""A batch in parts: where it is larger than what fits, or is to be smaller than it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from cosmos_batch.planning.plan import Batch
from cosmos_batch.run import Run


def split(batch: Batch, most: int) -> list[Batch]:
    """The batch in parts of nearly equal size, of `most` runs each at most."""
    count = -(-len(batch.runs) // most)
    bounds = [len(batch.runs) * index // count for index in range(count + 1)]
    return [cut(batch, batch.runs[low:high]) for low, high in pairwise(bounds)]


def cut(batch: Batch, runs: Sequence[Run]) -> Batch:
    """The batch with these of its runs, and their share of its seconds."""
    return replace(batch, runs=tuple(runs), seconds=batch.seconds * len(runs) / len(batch.runs))
