"""Outputs under names of a pattern, `out/{sweep}/{video}/{seed}.mp4`, beside the folders of their runs.

Such a name is a link to the video in `out/<id>/`, or a copy where the file system has no links, with the run's
`run.json` beside it under the same name with `.json`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmos_batch.dispatch.output.directory import HOME, OUTPUT, PICTURES, RESERVED, RUN_FILE, output_of
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.ids import valid_id
from cosmos_batch.formats.sweep.choices import word
from cosmos_batch.formats.sweep.template import Template
from cosmos_batch.run import Run
from cosmos_batch.spans import split_span

_FIELD = "--output"
_SUFFIXES = tuple(Path(name).suffix for name in (OUTPUT, *PICTURES))
_LONGEST_PART = 200  # bytes; file systems take 255, and a suffix is added


@dataclass(frozen=True, slots=True)
class OutputPattern:
    """Where outputs get a second name."""

    text: str  # as it was given
    root: Path  # the output folder: the parts of the path before the first placeholder
    parts: tuple[Template, ...]  # of the path inside it

    @classmethod
    def of(cls, text: str) -> OutputPattern | None:
        """The pattern of an option `-o`; None for a folder. Raises InputError for one that leaves its folder."""
        parts = Path(text).parts
        templates = [Template.of(part) for part in parts]
        first = next((index for index, template in enumerate(templates) if template.names), None)
        if first is None:
            return None
        if ".." in parts[first:]:
            raise InputError([_problem(text, "leaves its folder", "leave out '..' after a placeholder")])
        return cls(text, Path(*parts[:first]), tuple(templates[first:]))

    def names(self, runs: Iterable[Run]) -> tuple[dict[str, Path], list[Problem]]:
        """The path of each run's output without its suffix, by id, and the problems of runs that get none."""
        found: dict[str, Path] = {}
        unknown: defaultdict[str, list[str]] = defaultdict(list)
        owners: dict[str, str] = {}
        problems: list[Problem] = []
        for run in runs:
            words = words_of(run)
            missing = [name for template in self.parts for name in template.names if name not in words]
            for name in missing:
                unknown[name].append(run.id)
            if missing:
                continue
            path = Path(*(part.fill(words) for part in self.parts[:-1]), _stem(self.parts[-1].fill(words)))
            owner = owners.setdefault(str(path).casefold(), run.id)
            if owner != run.id:
                message = f"gives the runs {owner} and {run.id} one name, {path}"
                problems.append(_problem(self.text, message, "put {id} or another placeholder into it"))
            elif any(len(part.encode()) > _LONGEST_PART for part in path.parts):
                message = f"gives run {run.id} a name that no file can have"
                problems.append(_problem(self.text, message, "use fewer placeholders in one part of the path"))
            else:
                found[run.id] = path
        problems += [self._unknown(name, ids) for name, ids in unknown.items()]
        in_the_way = self._in_the_way(found)
        problems += in_the_way.values()
        return {run_id: path for run_id, path in found.items() if run_id not in in_the_way}, problems

    def _unknown(self, name: str, ids: Collection[str]) -> Problem:
        example = next(iter(ids))
        others = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
        message = f"has the placeholder {{{name}}}, for which run {example}{others} has no value"
        remedy = (
            f"give runs a tag {name}, or use others: id, sweep, video, controls, seed and other settings, tags"
        )
        return _problem(self.text, message, remedy)

    def _in_the_way(self, names: Mapping[str, Path]) -> dict[str, Problem]:
        """Problems of names inside folders of runs, and of files that are something else, by id."""
        problems: dict[str, Problem] = {}
        folders = {run_id.casefold() for run_id in names} | {HOME}
        for run_id, path in names.items():
            files = {path.with_name(path.name + suffix) for suffix in (*_SUFFIXES, ".json")}
            inside = len(path.parts) > 1
            if inside and (path.parts[0].casefold() in folders or (self.root / path.parts[0] / RUN_FILE).exists()):
                message = f"puts the output of run {run_id} into the folder {path.parts[0]}, which is a run's own"
                problems[run_id] = _problem(self.text, message, "begin with another placeholder or a folder")
            elif any(RESERVED.fullmatch(str(each)) or str(each).casefold() in folders for each in files):
                message = f"gives run {run_id} the name of another file of the output folder, {path}"
                problems[run_id] = _problem(self.text, message, "put it into a folder, as in runs/{id}.mp4")
            elif obstacle := _obstacle(self.root, path, run_id):
                problems[run_id] = _problem(self.text, obstacle, "move it elsewhere, or choose another pattern")
        return problems


@dataclass(frozen=True, slots=True)
class NamedOutputs:
    """An output folder, and the further names that the outputs in it get by a pattern."""

    root: Path
    names: Mapping[str, Path] | None  # by run id, without suffix, inside the folder; None: there is no pattern
    problems: tuple[Problem, ...]  # of runs that get no name

    @classmethod
    def of(cls, output: Path, runs: Callable[[], Iterable[Run]]) -> NamedOutputs:
        """The folder and the names of an option `-o`. `runs`: gives the resolved runs where there is a pattern.

        Raises InputError for a pattern that leaves its folder.
        """
        pattern = OutputPattern.of(str(output))
        if pattern is None:
            return cls(output, None, ())
        names, problems = pattern.names(runs())
        return cls(pattern.root, names, tuple(problems))

    def place(self, run_id: str) -> None:
        """Give a finished output its further name. Raises OSError."""
        if self.names and run_id in self.names:
            place(self.root / run_id, self.root / self.names[run_id])


def root_of(output: Path) -> Path:
    """The output folder of an option `-o`, which may be a pattern."""
    pattern = OutputPattern.of(str(output))
    return output if pattern is None else pattern.root


def words_of(run: Run) -> dict[str, str]:
    """The placeholders of a run, each as a part of a file name: metadata, tags, settings, inputs, sweep and id."""
    notes = run.annotations
    words: dict[str, object] = {**notes.metadata, **notes.tags} if notes else {}
    words |= {name: value for name, value in asdict(run.sampling).items() if value is not None}
    if run.video is not None:
        path, span = split_span(run.video)
        words["video"] = Path(path).stem + (f"_{span.start:g}" if span else "")
        words["video_folder"] = Path(path).parent.name
    words |= {"id": run.id, "controls": "_".join(f"{each.name}{word(each.weight)}" for each in run.active)}
    words |= {"sweep": notes.sweep} if notes and notes.sweep else {}
    return {name: valid_id(word(value)) for name, value in words.items() if isinstance(value, str | int | float)}


def place(folder: Path, name: Path) -> None:
    """Give the video and the run.json of a finished run's folder another name. Raises OSError."""
    output = output_of(folder)
    name.parent.mkdir(parents=True, exist_ok=True)
    for source, suffix in ((folder / RUN_FILE, ".json"), (output, output.suffix)):
        target = name.with_name(name.name + suffix)
        if target.exists() and target.samefile(source):
            continue
        draft = target.with_name(f".{target.name}.new")
        draft.unlink(missing_ok=True)
        try:
            os.link(source, draft)
        except OSError:  # a file system without links
            shutil.copyfile(source, draft)
        draft.replace(target)


def _stem(name: str) -> str:
    return name.removesuffix(Path(OUTPUT).suffix) or name


def _obstacle(root: Path, path: Path, run_id: str) -> str:
    """What is under a run's name and is no output of it; "" where there is nothing, or its own output."""
    whole = root / path
    there = [file for suffix in (*_SUFFIXES, ".json") if (file := whole.with_name(whole.name + suffix)).exists()]
    if not there:
        return ""
    try:
        description = json.loads(whole.with_name(f"{whole.name}.json").read_bytes())
        owner = str(description["id"]) if "fingerprint" in description else ""
    except (OSError, ValueError, TypeError, KeyError):
        owner = ""
    if owner == run_id:
        return ""
    what = f"the output of run {owner}" if owner else "no output of cosmos-batch"
    return f"names {there[0]}, which is {what}"


def _problem(text: str, message: str, remedy: str) -> Problem:
    return Problem("", None, _FIELD, text, message, remedy)
