"""WebDataset shards of finished runs: tar files whose members of one key are a sample.

The layout is that of github.com/webdataset/webdataset: members of a sample follow each other, and their names
differ from the first dot of the file name on.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cosmos_batch.datasets.finished_runs import FinishedFolder
from cosmos_batch.errors import InputError, Problem, StorageError
from cosmos_batch.media.atomic import describe_folder_error, replacing

SHARD_SAMPLES = 1000
"""Samples of a shard, unless another number is asked for."""
_KEY = re.compile(r"[^A-Za-z0-9_-]+")


def sample_key(run_id: str) -> str:
    """The key of a run's sample: its id without dots, which would end the key."""
    return _KEY.sub("_", run_id)


def write_shards(runs: Sequence[FinishedFolder], target: Path, samples: int = SHARD_SAMPLES) -> list[Path]:
    """Write finished runs as shards of so many samples into a folder that is empty or missing; return the files.

    A sample has the output (`mp4`, `png` or `jpg`), its control videos (`control_edge.mp4`), the prompt (`txt`)
    and run.json (`json`). Raises InputError for a folder in use and ids that give equal keys, and StorageError.
    """
    problems = [*_repeated(runs)]
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            problems.append(Problem(str(target), None, "", "", "is not empty", "name a new folder"))
        if problems:
            raise InputError(problems)
        target.mkdir(parents=True, exist_ok=True)
        files = []
        for number, start in enumerate(range(0, len(runs), samples)):
            file = target / f"shard-{number:06d}.tar"
            with replacing(file) as part, tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
                for run in runs[start : start + samples]:
                    _add(tar, run)
            files.append(file)
    except OSError as error:
        raise StorageError(f"the folder {target} {describe_folder_error(error)}") from error
    return files


def _add(tar: tarfile.TarFile, run: FinishedFolder) -> None:
    key = sample_key(run.id)
    text = json.dumps(run.record, ensure_ascii=False).encode()
    for name, content in (("json", text), ("txt", run.prompt.encode())):
        tar.addfile(_member(f"{key}.{name}", len(content)), io.BytesIO(content))
    for path in [run.output, *sorted(run.folder.glob("control_*"))]:
        suffix = path.suffix if path == run.output else f".{path.name}"
        with path.open("rb") as stream:
            tar.addfile(_member(f"{key}{suffix}", path.stat().st_size), stream)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A member without owner and time, so that equal runs give equal shards."""
    made = tarfile.TarInfo(name)
    made.size = size
    return made


def _repeated(runs: Sequence[FinishedFolder]) -> Iterator[Problem]:
    known: dict[str, str] = {}
    for run in runs:
        key = sample_key(run.id)
        if key in known:
            message = f"gives the key {key} of a sample, as {known[key]} does"
            yield Problem(
                str(run.folder), None, "", run.id, message, "give the runs ids that differ in more than dots"
            )
        known.setdefault(key, run.id)
