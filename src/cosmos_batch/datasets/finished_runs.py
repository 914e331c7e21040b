"""Finished runs of an output folder, for datasets that are made of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos_batch.dispatch.output.directory import RUN_FILE, output_names
from cosmos_batch.dispatch.output.inputs import file_digest
from cosmos_batch.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class FinishedFolder:
    """The folder of a finished run, whose output is as it was left."""

    id: str
    folder: Path
    output: Path
    record: Mapping[str, Any]  # its run.json

    @property
    def prompt(self) -> str:
        """The prompt of the run."""
        return str(self.record["run"]["prompt"])

    @property
    def rejected(self) -> bool:
        """Whether it had to reach scores, and did not."""
        return (self.record.get("acceptance") or {}).get("accepted") is False


def finished_folders(out: Path, ids: Collection[str] = (), *, accepted_only: bool = False) -> list[FinishedFolder]:
    """The finished runs of an output folder, in the order of their ids; only those in `ids`, if given.

    `accepted_only`: without those that had to reach scores, and did not. Raises InputError with all problems: a
    folder without any, unknown ids, outputs that were damaged or replaced.
    """
    try:
        names = sorted(path.parent.name for path in out.glob(f"*/{RUN_FILE}"))
    except OSError as error:
        names, reason = [], f"cannot be read ({error.strerror})"
    else:
        reason = "holds no finished run"
    if not names:
        remedy = "name the output folder of cosmos-batch run, or the folder videos of a service"
        raise InputError([Problem(str(out), None, "", "", reason, remedy)])
    problems = [
        Problem(str(out), None, "", name, "has no finished run of this id", "name one of its folders")
        for name in ids
        if name not in names
    ]
    found = []
    for name in names if not ids else [name for name in names if name in ids]:
        made = _finished(out / name)
        if isinstance(made, Problem):
            problems.append(made)
        elif not (accepted_only and made.rejected):
            found.append(made)
    if problems:
        raise InputError(problems)
    return found


def _finished(folder: Path) -> FinishedFolder | Problem:
    again = "run the same command again"
    try:
        record = json.loads((folder / RUN_FILE).read_bytes())
        outputs = record["outputs"]
        name = next(name for name in output_names(None) if name in outputs)
        wanted = outputs[name]["sha256"]
        made = FinishedFolder(str(record["id"]), folder, folder / name, record)
        if not made.prompt:
            raise ValueError("it has no prompt")
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        return Problem(str(folder / RUN_FILE), None, "", "", f"cannot be read ({error or 'no output'})", again)
    try:
        same = file_digest(made.output) == wanted
    except OSError as error:
        return Problem(str(made.output), None, "", "", f"cannot be read ({error.strerror})", again)
    if not same:
        return Problem(str(made.output), None, "", "", "is not as it was left: damaged or replaced", again)
    return made
