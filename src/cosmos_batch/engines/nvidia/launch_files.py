"""What the writers give back: everything that a launcher must know of the files of a launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.media.info import VideoInfo
from cosmos_batch.run import ResolvedRun

There = Callable[[Path], str]
"""What a local path is called where the script runs. It is asked once for every file, after that file was written,
and once for the folder of the outputs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run as the script sees it, and where the script leaves what it makes of it."""

    run: ResolvedRun  # the planned run itself
    name: str  # what the script calls it: "video_3" for the fourth line of a Transfer1 batch, else the run's id
    video: Path  # where the output is expected, below `Written.outputs`
    prompt: Path | None  # where the script repeats the prompt as text; None: nowhere
    controls: Mapping[str, Path]  # by active control: its video, given, made by us, or left by the script
    facts: VideoInfo  # what the output is like when it is whole


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one launch. All paths are local and absolute."""

    files: tuple[Path, ...]  # what was written for the script to be named: spec and batch file
    arguments: tuple[str, ...]  # the command line after the script's own name, as the script gets it
    samples: tuple[Sample, ...]  # in the order in which the script takes them
    batch_size: int  # samples of a tensor batch; the last may hold fewer
    inputs: tuple[Path, ...]  # every other file that the script reads, each once
    outputs: Path  # the folder that the script is told to write to; local, so a launcher fills it from elsewhere
