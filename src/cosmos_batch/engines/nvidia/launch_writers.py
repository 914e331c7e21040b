"""What all writers share: files that appear whole, and videos that lie beside them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosmos_batch.engines.nvidia.launch_files import There
from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import probe
from cosmos_batch.planning.plan import Launch


def name_of(launch: Launch) -> str:
    """What the files of a launch are called."""
    return f"batch_{launch.index + 1:04d}"


def number(value: float) -> float | int:
    """A number as people write it: 24 rather than 24.0."""
    return int(value) if value % 1 == 0 else value


@dataclass(slots=True)
class SampleFiles:
    """Where the files of a launch go, and what they are called where the script runs."""

    folder: Path  # absolute
    name: str
    there: There
    inputs: dict[Path, str] = field(default_factory=dict)  # files that the script reads, and their names there
    _facts: dict[Path, VideoInfo] = field(default_factory=dict)

    @property
    def outputs(self) -> Path:
        """The folder that the script writes to."""
        return self.folder / "outputs" / self.name

    def input(self, path: str | Path) -> str:
        """What a file that the script reads is called there."""
        local = Path(path).absolute()
        if local not in self.inputs:
            self.inputs[local] = self.there(local)
        return self.inputs[local]

    def facts(self, path: str | Path) -> VideoInfo:
        """What a video says of itself, looked up once. Raises MediaError."""
        local = Path(path)
        if local not in self._facts:
            self._facts[local] = probe(local)
        return self._facts[local]

    def keep(self, made: Path) -> Path:
        """The same file below `inputs/`, where a cache cannot remove it. Raises StorageError."""
        kept = self.folder / "inputs" / made.name
        if not kept.exists():
            make_folder(kept.parent)
            with replacing(kept) as part:
                link_or_copy(made, part)
        return kept

    def write_json(self, suffix: str, value: Mapping[str, Any]) -> Path:
        """An object as `<name><suffix>`."""
        return self._write(suffix, json.dumps(value, indent=2) + "\n")

    def write_lines(self, suffix: str, lines: Iterable[Mapping[str, Any]]) -> Path:
        """An object a line, in ASCII: NVIDIA's loaders take other line breaks, as U+2028, for the end of one."""
        return self._write(suffix, "".join(json.dumps(line) + "\n" for line in lines))

    def _write(self, suffix: str, text: str) -> Path:
        path = self.folder / f"{self.name}{suffix}"
        write_text(path, text)
        return path


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
    """A second name of a file, or a copy of it where the file system has no such thing. Raises OSError."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
