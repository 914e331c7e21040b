"""The runs of the standard scenario, by size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.sizes import Size
from benchmarks.gpu.videos import Wish, write_runs

SIZES = "320x192x29:35,832x480x93:2,1280x704x93:1"
ALL = ("depth", "edge", "seg", "vis")
RUNS = (*[("edge",)] * 6, *[("depth", "edge")] * 3, ALL)
KINDS = {names: RUNS.count(names) for names in dict.fromkeys(RUNS)}
SMALL = 6_000
"""Tokens of a row up to which a step is recorded as a graph, once its kind was seen twice."""


@dataclass(frozen=True)
class Task:
    """A size, and how many steps its runs take."""

    size: Size
    steps: int
    folder: Path

    @classmethod
    def parse(cls, text: str, work: Path) -> Task:
        """From "832x480x93:2"."""
        name, _, steps = text.partition(":")
        size = Size.parse(name)
        return cls(size, int(steps), work / name)

    @property
    def small(self) -> bool:
        """Whether steps are recorded."""
        return self.size.tokens <= SMALL

    @property
    def of_each_kind(self) -> list[Wish]:
        """The first run of each kind."""
        return [self._wish(RUNS.index(names)) for names in KINDS]

    @property
    def ours(self) -> list[Wish]:
        """All ten."""
        return [self._wish(i) for i in range(len(RUNS))]

    @property
    def warm_up(self) -> list[Wish]:
        """What ours makes before the time counts."""
        if not self.small:
            return [Wish("warm", ("edge",), self.size, 1, 100)]
        return [Wish(f"warm{i}", names, self.size, 8, 100 + i) for i, names in enumerate(KINDS)]

    def write(self) -> None:
        """The runs' files and their videos."""
        write_runs(self.folder, "warm", self.warm_up)
        write_runs(self.folder, "runs", self.ours)

    def _wish(self, index: int) -> Wish:
        return Wish(f"run{index}", RUNS[index], self.size, self.steps, 1 + index)
