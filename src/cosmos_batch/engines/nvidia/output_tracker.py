"""Which runs of a script are done, by the files that it has left so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.engines.nvidia.output_matching import attribute


class Outputs(Protocol):
    """A script's output folder, wherever it is."""

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder; none where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """The contents of a small file; None where there is none."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A sample, as its follower sees it. Names are relative to the output folder."""

    name: str  # what the script calls it
    prompt: str
    prompt_file: str | None  # where the script repeats the prompt; None: nowhere
    video: str


@dataclass(frozen=True, slots=True)
class Found:
    """A sample has come to its end."""

    sample: int  # its place in the script's file
    video: str | None  # its output; None: the script has passed it over, and none will come


class OutputTracker(Protocol):
    """Follows one script, sample by sample."""

    @property
    def began(self) -> bool:
        """Whether the script has come to its first sample."""

    @property
    def current(self) -> tuple[int, ...]:
        """The samples that the script is at, as of the last look; none once it is past its last one."""

    @property
    def ambiguous(self) -> frozenset[int]:
        """Samples of which it cannot be told whether an output is theirs."""

    def look(self, outputs: Outputs, *, done: bool) -> list[Found]:
        """What has come to its end since the last look. `done`: the script has ended by itself, successfully."""


@dataclass(slots=True)
class ByPosition:
    """Transfer1: `video_<i>/output.mp4`, then `prompt.txt`; those after a dropped one move up in the batch.

    The script makes the folders of a tensor batch when it comes to it, and never goes back.
    """

    samples: Sequence[Expected]
    size: int  # samples of a tensor batch
    began: bool = False
    ambiguous: frozenset[int] = frozenset()
    _start: int = 0  # the first sample of the tensor batch that the script is at
    _ended: set[int] = field(default_factory=set)  # samples of it

    @property
    def current(self) -> tuple[int, ...]:
        """The samples of the tensor batch that have not come to an end."""
        stop = min(self._start + self.size, len(self.samples))
        return tuple(i for i in range(self._start, stop) if i not in self._ended and i not in self.ambiguous)

    def look(self, outputs: Outputs, *, done: bool) -> list[Found]:
        """What has come to its end, tensor batch by tensor batch."""
        folders = outputs.listing()
        self.began = self.began or self.samples[0].name in folders
        found: list[Found] = []
        while self._start < len(self.samples):
            after = self._start + self.size
            complete = done or (after < len(self.samples) and self.samples[after].name in folders)
            found += self._look_into_batch(outputs, complete)
            if not complete:
                break
            self._start, self._ended = after, set()
        return found

    def _look_into_batch(self, outputs: Outputs, complete: bool) -> list[Found]:
        if not self.current:
            return []
        members = self.samples[self._start : self._start + self.size]
        made = attribute([m.prompt for m in members], _prompts(members, outputs), complete=complete)
        if not made.fits:
            if complete:
                self.ambiguous |= set(self.current)
            return []
        found = [Found(self._start + owner, members[place].video) for place, owner in made.owners.items()]
        if complete:
            self.ambiguous |= {self._start + place for place in made.ambiguous}
            dropped = set(range(len(members))) - made.spoken_for
            found += [Found(self._start + place, None) for place in sorted(dropped)]
        new = [each for each in found if each.sample not in self._ended]
        self._ended |= {each.sample for each in new}
        return new


def _prompts(members: Sequence[Expected], outputs: Outputs) -> list[str]:
    """The prompts of a tensor batch's outputs, in order; there is no gap between them."""
    prompts = []
    for member in members:
        text = outputs.read(member.prompt_file) if member.prompt_file else None
        if text is None:
            break
        prompts.append(text.decode("utf-8", "replace"))
    return prompts


@dataclass(slots=True)
class ByName:
    """Transfer2.5 and Cosmos 3: one sample after the other, each under its own name, in the order of the file."""

    samples: Sequence[Expected]
    first_sign: str  # what the script writes before all else of a sample, with {} for the sample's name
    last_sign: str  # what it writes when a sample's output is whole
    skips: bool  # whether it may go on to the next sample without having made this one
    began: bool = False
    ambiguous: frozenset[int] = frozenset()
    _at: int = 0

    @property
    def current(self) -> tuple[int, ...]:
        """The one sample that the script is at."""
        return (self._at,) if self._at < len(self.samples) else ()

    def look(self, outputs: Outputs, *, done: bool) -> list[Found]:
        """What has come to its end, in order."""
        there = _Names(outputs)
        started = [i for i in range(self._at, len(self.samples)) if there.has(self._sign(self.first_sign, i))]
        self.began = self.began or bool(started)
        passed = max(started, default=self._at) if self.skips else self._at
        passed = len(self.samples) if done else passed
        # A folder may change while it is listed: what came before a sign is there afterwards
        if passed > self._at:
            there = _Names(outputs)
        found: list[Found] = []
        while self._at < len(self.samples):
            whole = there.has(self._sign(self.last_sign, self._at)) and there.has(self.samples[self._at].video)
            if not whole and self._at >= passed:
                break
            found += self._ended(outputs, whole)
            self._at += 1
        return found

    def _sign(self, pattern: str, sample: int) -> str:
        return pattern.format(self.samples[sample].name)

    def _ended(self, outputs: Outputs, whole: bool) -> list[Found]:
        sample = self.samples[self._at]
        if whole and sample.prompt_file is not None:
            text = outputs.read(sample.prompt_file)
            if text is None or text.decode("utf-8", "replace") != sample.prompt:
                self.ambiguous |= {self._at}
                return []
        return [Found(self._at, sample.video if whole else None)]


class _Names:
    """What lies in an output folder, each folder listed once."""

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
