"""Numbers of the episodes and frames of a dataset after episodes were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Numbering:
    """Old and new numbers. Episodes keep their order."""

    lengths: tuple[int, ...]  # frames of every episode of the source
    kept: tuple[int, ...]  # old indices of the episodes that stay, rising

    @property
    def is_whole(self) -> bool:
        """Whether no episode was left out."""
        return len(self.kept) == len(self.lengths)

    @property
    def new_index(self) -> dict[int, int]:
        """New indices of episodes, by old ones."""
        return {old: new for new, old in enumerate(self.kept)}

    @property
    def frames(self) -> int:
        """The number of frames that stay."""
        return sum(self.lengths[old] for old in self.kept)

    @property
    def first_frames(self) -> dict[int, int]:
        """The new number of the first frame of each kept episode, by old index."""
        starts = accumulate((self.lengths[old] for old in self.kept), initial=0)
        return dict(zip(self.kept, starts, strict=False))

    @property
    def frame_shift(self) -> dict[int, int]:
        """What is added to the numbers of the frames of each kept episode, by old index."""
        before = list(accumulate(self.lengths, initial=0))
        return {old: new - before[old] for old, new in self.first_frames.items()}

    def split(self, text: str) -> str:
        """A range of episodes, `first:end`, after some were left out; any other text as it is."""
        first, colon, end = text.partition(":")
        if not colon or not first.isdecimal() or not end.isdecimal():
            return text
        return f"{_below(self.kept, int(first))}:{_below(self.kept, int(end))}"


def _below(numbers: Sequence[int], limit: int) -> int:
    return sum(number < limit for number in numbers)
