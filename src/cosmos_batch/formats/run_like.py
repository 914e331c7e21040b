"""The argument type of the public functions: runs, dicts that become runs, and files that hold them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from cosmos_batch.errors import Problem
from cosmos_batch.formats.load import LoadedRuns, read_records, run_from_dict
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.formats.records import RecordFile
from cosmos_batch.formats.sweep.read import is_sweep
from cosmos_batch.run import Run

RunLike = Run | Mapping[str, Any]
"""A run, or a native run dict; a dict is validated when it is used."""
RunSource = RunLike | str | Path
"""What gives runs: one run, a dict of any known format (a sweep gives many), or the path of a file."""


def as_run(given: RunLike) -> Run:
    """The run itself, or the run that a native dict describes. Raises InputError for a dict that is no run."""
    return given if isinstance(given, Run) else run_from_dict(dict(given))


def as_runs(given: Sequence[RunLike]) -> list[Run]:
    """Runs, each given as one or as a dict."""
    return [as_run(each) for each in given]


def read_sources(
    given: RunSource | Iterable[RunSource], *, score_names: Collection[str] | None = None
) -> LoadedRuns:
    """Read runs of all kinds of sources with every problem, as `read_files` reads files.

    Relative paths in a dict start from the working directory. Problems name a dict or a run by its place:
    `runs[2]`. Runs in files and dicts precede those that are `Run` objects. `score_names`: as for `read_files`.
    """
    sources: Iterable[object]
    if single := isinstance(given, (str, Path, Mapping, Run)):
        sources = [given]
    elif isinstance(given, Iterable):
        sources = given
    else:
        sources = [given]
    files: list[RecordFile] = []
    runs: list[tuple[Run, Location]] = []
    problems: list[Problem] = []
    for place, source in enumerate(sources):
        location = Location("runs" if single else f"runs[{place}]")
        if isinstance(source, Run):
            runs.append((source, location))
        elif isinstance(source, (str, Path)):
            files.append(RecordFile(Path(source), printable(str(source))))
        else:
            made = _in_memory(source, location, "" if single else f"-{place}")
            if isinstance(made, Problem):
                problems.append(made)
            else:
                files.append(made)
    loaded = read_records(files, runs, score_names=score_names)
    return replace(loaded, problems=(*problems, *loaded.problems))


def _in_memory(source: object, location: Location, ending: str) -> RecordFile | Problem:
    """A dict as the file that it would be, whose name becomes the id of a run that has none."""
    if not isinstance(source, Mapping):
        return location.problem("", "is no run", "give a Run, a dict, or the path of a file", repr(source))
    name = f"{'sweep' if is_sweep(source) else 'run'}{ending}.json"
    try:
        return RecordFile(Path(name), location.file, json.dumps(source, default=_plain).encode())
    except (TypeError, ValueError) as error:
        return location.problem("", f"cannot be written as JSON: {error}", "use texts, numbers, lists and dicts")


def _plain(value: object) -> object:
    """A value of a dict that JSON lacks: a path as text, a mapping as a dict."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value is of type {type(value).__name__}")
