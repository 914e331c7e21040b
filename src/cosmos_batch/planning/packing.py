"""Batches to be: portions of lots, filled one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass, RunGroup


class Portion(NamedTuple):
    """Some runs of one lot, side by side. A named tuple, since there may be a million of them."""

    lot: RunGroup
    start: int
    stop: int

    @property
    def places(self) -> Sequence[int]:
        """The places of its runs in the sequence that was given."""
        return self.lot.places[self.start : self.stop]


Draft = tuple[Portion, ...]
"""A batch to be."""


def size_of(draft: Draft) -> int:
    """Runs of a batch."""
    return sum([stop - start for _, start, stop in draft])


def places_of(draft: Draft) -> list[int]:
    """The places of a batch's runs in the sequence that was given."""
    return [place for portion in draft for place in portion.places]


def mixes_weights(draft: Draft) -> bool:
    """Whether its runs are together only because they bring their weights as maps."""
    return len(draft) > 1 and len({lot.run_class.batch_key for lot, _, _ in draft}) > 1


def fill(lots: Iterable[RunGroup], room: Callable[[RunClass, Load], int]) -> Iterator[Draft]:
    """Batches filled across lots, in order; `room` says how many more runs of a kind fit beside a load.

    An empty batch must have room for one. A batch that took all it had room for must have room for none.
    """
    draft: list[Portion] = []
    load = Load()
    for lot in lots:
        start = min(room(lot.run_class, load), len(lot.places)) if draft else 0
        if start:
            draft.append(Portion(lot, 0, start))
            load.add(lot.run_class, start)
        if start == len(lot.places):
            continue
        if draft:
            yield tuple(draft)
        # What is left begins a batch: whole ones first, then one that the next lot may fill
        size = room(lot.run_class, Load())
        last = start + (len(lot.places) - start - 1) // size * size
        for first in range(start, last, size):
            yield (Portion(lot, first, first + size),)
        draft, load = [Portion(lot, last, len(lot.places))], Load()
        load.add(lot.run_class, len(lot.places) - last)
    if draft:
        yield tuple(draft)
