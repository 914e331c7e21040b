"""Fill batches with portions of groups, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass, RunGroup


class Portion(NamedTuple):
    """Adjacent runs of one group. A named tuple, since a plan may have a million portions."""

    group: RunGroup
    start: int  # index of its first run in the group
    stop: int  # index after its last run


BatchDraft = tuple[Portion, ...]
"""A planned batch: the portions whose runs it holds."""


def size_of(draft: BatchDraft) -> int:
    """Number of runs of a batch."""
    return sum([stop - start for _, start, stop in draft])


def places_of(draft: BatchDraft) -> list[int]:
    """The places of a batch's runs in the sequence that was given."""
    return [place for group, start, stop in draft for place in group.places[start:stop]]


def mixes_weights(draft: BatchDraft) -> bool:
    """Whether the batch holds runs of different weights, which is possible only with weights as maps."""
    return len(draft) > 1 and len({group.run_class.batch_key for group, _, _ in draft}) > 1


def fill(groups: Iterable[RunGroup], capacity_left: Callable[[RunClass, Load], int]) -> Iterator[BatchDraft]:
    """Fill batches across groups, in order.

    `capacity_left` gives the number of runs of a class that still fit beside a load. It must be at least 1 for an
    empty load, and 0 for a batch that took as many runs as it gave.
    """
    draft: list[Portion] = []
    load = Load()
    for group in groups:
        start = min(capacity_left(group.run_class, load), len(group.places)) if draft else 0
        if start:
            draft.append(Portion(group, 0, start))
            load.add(group.run_class, start)
        if start == len(group.places):
            continue
        if draft:
            yield tuple(draft)
        # The remaining runs begin a batch: whole batches first, then one that the next group may fill
        size = capacity_left(group.run_class, Load())
        last = start + (len(group.places) - start - 1) // size * size
        for first in range(start, last, size):
            yield (Portion(group, first, first + size),)
        draft, load = [Portion(group, last, len(group.places))], Load()
        load.add(group.run_class, len(group.places) - last)
    if draft:
        yield tuple(draft)
