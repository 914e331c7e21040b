"""The files of a launch: what a script reads, where it leaves its outputs, and the helpers of all writers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import frames_of, probe
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import ResolvedRun
from cosmos_batch.spans import file_of, has_span

Stage = Callable[[Path], str]
"""Makes a local file available where the script runs, and returns its path there. Called once for every file,
after it was written, and once for the folder of the outputs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run as the script sees it, and where the script leaves its outputs."""

    run: ResolvedRun  # the planned run itself
    name: str  # the script's name of it: "video_3" for the fourth line of a Transfer1 batch, else the run's id
    video: Path  # where the output is expected, below `LaunchFiles.outputs`
    prompt: Path | None  # where the script repeats the prompt as text; None: nowhere
    controls: Mapping[str, Path]  # by active control: its video, given, made here, or left by the script
    expected: VideoInfo  # size, frames and rate of the complete output


@dataclass(frozen=True, slots=True)
class LaunchFiles:
    """The files of one launch. All paths are local and absolute."""

    files: tuple[Path, ...]  # the files that the command line names: spec and batch file
    arguments: tuple[str, ...]  # the command line after the script's own name, as the script gets it
    samples: tuple[Sample, ...]  # in the order in which the script takes them
    batch_size: int  # samples of a tensor batch; the last may hold fewer
    inputs: tuple[Path, ...]  # every other file that the script reads, each once
    outputs: Path  # the folder that the script writes to; local, so a remote launcher copies outputs to it


@dataclass(slots=True)
class LaunchFolder:
    """The folder of a launch while its files are written, with the paths that the script gets for them."""

    folder: Path  # absolute
    name: str  # stem of the files
    stage: Stage
    inputs: dict[Path, str] = field(default_factory=dict)  # files that the script reads, and their staged paths
    _infos: dict[str, VideoInfo] = field(default_factory=dict)

    @property
    def outputs(self) -> Path:
        """The folder that the script writes to."""
        return self.folder / "outputs" / self.name

    def input(self, path: str | Path) -> str:
        """Register a file that the script reads, and return its path there; of a span, that of a cut copy.

        Raises MediaError and StorageError where a span cannot be cut.
        """
        local = self._cut(str(path)) if has_span(path) else file_of(path).absolute()
        if local not in self.inputs:
            self.inputs[local] = self.stage(local)
        return self.inputs[local]

    def info(self, path: str | Path) -> VideoInfo:
        """Size, frames and rate of a video, probed once. Raises MediaError."""
        video = str(path)
        if video not in self._infos:
            self._infos[video] = probe(video)
        return self._infos[video]

    def _cut(self, video: str) -> Path:
        """Write the span of a video as a file of its own, without loss."""
        digest = hashlib.blake2b(video.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        cut = self.folder / "inputs" / f"{digest}.mp4"
        if cut not in self.inputs:
            make_folder(cut.parent)
            write_video(cut, frames_of(video), self.info(video).fps, lossless=True)
        return cut

    def keep(self, made: Path) -> Path:
        """Link or copy a file to `inputs/`, where a cache cannot remove it. Raises StorageError."""
        kept = self.folder / "inputs" / made.name
        if not kept.exists():
            make_folder(kept.parent)
            with replacing(kept) as part:
                link_or_copy(made, part)
        return kept

    def write_json(self, suffix: str, value: Mapping[str, Any]) -> Path:
        """Write an object as `<name><suffix>`. Raises StorageError."""
        return self._write(suffix, json.dumps(value, indent=2) + "\n")

    def write_lines(self, suffix: str, lines: Iterable[Mapping[str, Any]]) -> Path:
        """Write an object a line, in ASCII: NVIDIA's loaders split at other line breaks too, such as U+2028."""
        return self._write(suffix, "".join(json.dumps(line) + "\n" for line in lines))

    def _write(self, suffix: str, text: str) -> Path:
        path = self.folder / f"{self.name}{suffix}"
        write_text(path, text)
        return path


def launch_name(launch: Launch) -> str:
    """Stem of the files of a launch."""
    return f"batch_{launch.index + 1:04d}"


def number(value: float) -> float | int:
    """A number without a needless fraction: 24 rather than 24.0."""
    return int(value) if value % 1 == 0 else value


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. Raises StorageError."""
    make_folder(path.parent)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror}); name another folder") from error


def link_or_copy(source: Path, target: Path) -> None:
    """Make a hard link to a file, or copy it where the file system has no links. Raises OSError."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
