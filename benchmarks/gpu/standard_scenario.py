"""The standard scenario: ten runs of three sets of controls, at any size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.size import Size
from benchmarks.gpu.videos import RunSpec, write_runs

SIZES = "320x192x29:35,832x480x93:2,1280x704x93:1"
ALL = ("depth", "edge", "seg", "vis")
RUNS = (*[("edge",)] * 6, *[("depth", "edge")] * 3, ALL)
CONTROL_SETS = {names: RUNS.count(names) for names in dict.fromkeys(RUNS)}
SMALL = 6_000
"""Tokens of a row up to which a step is recorded as a graph, from its third repetition on."""


@dataclass(frozen=True)
class Scenario:
    """The ten runs at one size."""

    size: Size
    steps: int  # of each run
    folder: Path  # of the runs' files and videos

    @classmethod
    def parse(cls, text: str, work: Path) -> Scenario:
        """From "832x480x93:2"."""
        name, _, steps = text.partition(":")
        size = Size.parse(name)
        return cls(size, int(steps), work / name)

    @property
    def small(self) -> bool:
        """Whether steps are recorded."""
        return self.size.tokens <= SMALL

    @property
    def one_per_set(self) -> list[RunSpec]:
        """The first run of each set of controls."""
        return [self._spec(RUNS.index(names)) for names in CONTROL_SETS]

    @property
    def runs(self) -> list[RunSpec]:
        """All ten runs."""
        return [self._spec(i) for i in range(len(RUNS))]

    @property
    def warm_up(self) -> list[RunSpec]:
        """Runs that our engine makes before the time is measured."""
        if not self.small:
            return [RunSpec("warm", ("edge",), self.size, 1, 100)]
        return [RunSpec(f"warm{i}", names, self.size, 8, 100 + i) for i, names in enumerate(CONTROL_SETS)]

    def write(self) -> None:
        """Write the runs' files and their videos."""
        write_runs(self.folder, "warm", self.warm_up)
        write_runs(self.folder, "runs", self.runs)

    def _spec(self, index: int) -> RunSpec:
        return RunSpec(f"run{index}", RUNS[index], self.size, self.steps, 1 + index)
