"""Tracks which samples of a script have ended, by the files in its output folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.engines.nvidia.output_matching import match_outputs


class Outputs(Protocol):
    """A script's output folder, on this machine or another."""

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder; empty where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """The contents of a small file; None where there is none."""


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """A sample as its tracker knows it. Paths are relative to the output folder."""

    name: str  # the script's name of it
    prompt: str
    prompt_file: str | None  # where the script repeats the prompt; None: nowhere
    video: str


@dataclass(frozen=True, slots=True)
class SampleEnd:
    """A sample has ended."""

    sample: int  # its index in the script's file
    video: str | None  # its output; None: the script has skipped it, and none will come


class OutputTracker(Protocol):
    """Tracks one script, sample by sample."""

    @property
    def started(self) -> bool:
        """Whether the script has begun its first sample."""

    @property
    def current(self) -> tuple[int, ...]:
        """Samples in execution, as of the last poll; none after the last one."""

    @property
    def ambiguous(self) -> frozenset[int]:
        """Samples for which no output is proven to be theirs, or missing."""

    def poll(self, outputs: Outputs, *, done: bool) -> list[SampleEnd]:
        """Samples that ended since the last poll. `done`: the script has exited successfully."""


@dataclass(slots=True)
class PositionTracker:
    """Transfer1: `video_<i>/output.mp4`, then `prompt.txt`; samples after a dropped one move up in the batch.

    The script makes the folders of a tensor batch when it begins it, and never returns to an earlier one.
    """

    samples: Sequence[ExpectedSample]
    batch_size: int  # samples of a tensor batch
    started: bool = False
    ambiguous: frozenset[int] = frozenset()
    _start: int = 0  # first sample of the tensor batch in execution
    _ended: set[int] = field(default_factory=set)  # samples of that batch

    @property
    def current(self) -> tuple[int, ...]:
        """Samples of the tensor batch in execution that have not ended."""
        stop = min(self._start + self.batch_size, len(self.samples))
        return tuple(i for i in range(self._start, stop) if i not in self._ended and i not in self.ambiguous)

    def poll(self, outputs: Outputs, *, done: bool) -> list[SampleEnd]:
        """Samples that ended, tensor batch by tensor batch."""
        folders = outputs.listing()
        self.started = self.started or self.samples[0].name in folders
        found: list[SampleEnd] = []
        while self._start < len(self.samples):
            after = self._start + self.batch_size
            complete = done or (after < len(self.samples) and self.samples[after].name in folders)
            found += self._poll_batch(outputs, complete)
            if not complete:
                break
            self._start, self._ended = after, set()
        return found

    def _poll_batch(self, outputs: Outputs, complete: bool) -> list[SampleEnd]:
        if not self.current:
            return []
        members = self.samples[self._start : self._start + self.batch_size]
        match = match_outputs([m.prompt for m in members], _prompts(members, outputs), complete=complete)
        if not match.fits:
            if complete:
                self.ambiguous |= set(self.current)
            return []
        found = [SampleEnd(self._start + owner, members[index].video) for index, owner in match.owners.items()]
        if complete:
            self.ambiguous |= {self._start + index for index in match.ambiguous}
            dropped = set(range(len(members))) - match.claimed
            found += [SampleEnd(self._start + index, None) for index in sorted(dropped)]
        new = [each for each in found if each.sample not in self._ended]
        self._ended |= {each.sample for each in new}
        return new


def _prompts(members: Sequence[ExpectedSample], outputs: Outputs) -> list[str]:
    """The prompts of a tensor batch's outputs, in order; outputs leave no gap."""
    prompts = []
    for member in members:
        text = outputs.read(member.prompt_file) if member.prompt_file else None
        if text is None:
            break
        prompts.append(text.decode("utf-8", "replace"))
    return prompts


@dataclass(slots=True)
class NameTracker:
    """Transfer2.5 and Cosmos 3: one sample after the other, each under its own name, in the order of the file."""

    samples: Sequence[ExpectedSample]
    start_file: str  # path that the script makes first for a sample; {} stands for the sample's name
    end_file: str  # path that it makes when a sample's output is complete
    skips: bool  # whether it may skip a sample without an output
    started: bool = False
    ambiguous: frozenset[int] = frozenset()
    _current: int = 0

    @property
    def current(self) -> tuple[int, ...]:
        """The one sample in execution."""
        return (self._current,) if self._current < len(self.samples) else ()

    def poll(self, outputs: Outputs, *, done: bool) -> list[SampleEnd]:
        """Samples that ended, in order."""
        names = _Names(outputs)
        started = [i for i in range(self._current, len(self.samples)) if names.has(self._path(self.start_file, i))]
        self.started = self.started or bool(started)
        passed = max(started, default=self._current) if self.skips else self._current
        passed = len(self.samples) if done else passed
        # A folder may change while it is listed: a file made before a start file is in a second listing
        if passed > self._current:
            names = _Names(outputs)
        found: list[SampleEnd] = []
        while self._current < len(self.samples):
            whole = names.has(self._path(self.end_file, self._current)) and names.has(
                self.samples[self._current].video
            )
            if not whole and self._current >= passed:
                break
            found += self._ended(outputs, whole)
            self._current += 1
        return found

    def _path(self, pattern: str, sample: int) -> str:
        return pattern.format(self.samples[sample].name)

    def _ended(self, outputs: Outputs, whole: bool) -> list[SampleEnd]:
        sample = self.samples[self._current]
        if whole and sample.prompt_file is not None:
            text = outputs.read(sample.prompt_file)
            if text is None or text.decode("utf-8", "replace") != sample.prompt:
                self.ambiguous |= {self._current}
                return []
        return [SampleEnd(self._current, sample.video if whole else None)]


class _Names:
    """Names in an output folder; each folder is listed once."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._listed: dict[str, frozenset[str]] = {}

    def has(self, name: str) -> bool:
        folder, _, leaf = name.rpartition("/")
        if folder and not self.has(folder):
            return False
        if folder not in self._listed:
            self._listed[folder] = self._outputs.listing(folder)
        return leaf in self._listed[folder]
