"""Finished runs of an output folder, matched to the episodes that they were made from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cosmos_batch.dispatch.output.directory import MANIFEST, RUN_FILE, output_of
from cosmos_batch.dispatch.output.inputs import file_digest
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.lerobot.layout import CameraEpisodes, Episode, json_lines, read_json
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import validate
from cosmos_batch.spans import Span, split_span

_EPISODE = re.compile(r"(?:^|(?<=[_.-]))episode_(\d{6,})(?:(?=[_.-])|$)")
_EDGES = "_.-"
ONLY = "default"
"""The name of the variation whose runs have the name of an episode as id."""


class _Numbers(BaseModel):
    model_config = ConfigDict(extra="ignore")

    width: int
    height: int
    frames: int


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    sha256: str


class _Sampling(BaseModel):
    model_config = ConfigDict(extra="ignore")

    seed: int | None = None


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow")

    prompt: str
    video: str | None = None
    sampling: _Sampling


class FinishedRun(BaseModel):
    """The fields of `run.json` that an export uses."""

    model_config = ConfigDict(extra="ignore")

    id: str
    key: str = ""
    run: _Request
    made_by: dict[str, str] = {}
    scores: dict[str, float | None] = {}
    output: _Numbers
    outputs: Annotated[dict[str, _File], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class MadeEpisode:
    """An episode and the finished run that shows it anew."""

    episode: Episode
    record: FinishedRun
    video: Path  # the run's output
    digest: str  # SHA-256 of the output, in hex


@dataclass(frozen=True, slots=True)
class Variation:
    """The episodes of one copy of the dataset."""

    name: str
    made: tuple[MadeEpisode, ...]  # in the order of the episodes


def find_variations(
    dataset: CameraEpisodes, out: Path, names: Sequence[str] = (), *, skip_missing: bool = False
) -> list[Variation]:
    """The variations of a dataset in an output folder, in the order of their names.

    A run belongs to the episode that its id names (`episode_000012`); what is left of the id names the variation.
    `names`: the variations that are used; none: all. `skip_missing`: leave out episodes without a finished run.
    Raises InputError with all problems: episodes without a finished run, outputs that were changed or do not fit.
    """
    found = _runs_by_variation(dataset, out)
    known = sorted(found)
    unknown = [name for name in names if name not in found]
    problems = [
        Problem("", None, "--variation", name, "has no finished run", f"name one of {', '.join(known)}")
        for name in unknown
    ]
    if not found:
        remedy = "name the folder of `run -o`, with runs of import-lerobot or ids that hold episode_000000"
        problems = [Problem(str(out), None, "", "", "holds no finished run of an episode", remedy)]
    causes = _causes(out)
    variations = []
    for name in known if not names else [name for name in known if name in names]:
        made, faults = _checked(dataset, found[name], out)
        missing = [e for e in dataset.episodes if e.index not in found[name]]
        if not skip_missing:
            faults += [_missing(out, name, episode, causes) for episode in missing]
        problems += faults
        variations.append(Variation(name, tuple(made)))
    if problems:
        raise InputError(problems)
    return variations


def episode_of(run_id: str) -> tuple[int, str] | None:
    """The index of the episode that an id names, and the variation; None where it names none."""
    match = _EPISODE.search(run_id)
    if match is None:
        return None
    parts = (run_id[: match.start()].rstrip(_EDGES), run_id[match.end() :].lstrip(_EDGES))
    return int(match[1]), "__".join(filter(None, parts)) or ONLY


def _runs_by_variation(dataset: CameraEpisodes, out: Path) -> dict[str, dict[int, Path]]:
    """The folders of finished runs, by variation and episode."""
    found: defaultdict[str, dict[int, Path]] = defaultdict(dict)
    try:
        folders = sorted(out.iterdir())
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise InputError(
            [Problem(str(out), None, "", "", message, "name the output folder of cosmos-batch run")]
        ) from error
    for folder in folders:
        named = episode_of(folder.name)
        if named and named[0] < len(dataset.episodes) and (folder / RUN_FILE).is_file():
            found[named[1]][named[0]] = folder
    return dict(found)


def _checked(
    dataset: CameraEpisodes, folders: Mapping[int, Path], out: Path
) -> tuple[list[MadeEpisode], list[Problem]]:
    """The runs of a variation that fit their episodes, and the problems of the others."""
    made: list[MadeEpisode] = []
    problems: list[Problem] = []
    for index, folder in sorted(folders.items()):
        try:
            run = _made(dataset.episodes[index], folder)
        except InputError as error:
            problems += error.problems
            continue
        faults = list(_faults(dataset, run, folder))
        problems += faults
        made += [] if faults else [run]
    sizes = {(run.record.output.width, run.record.output.height) for run in made}
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        message, remedy = f"outputs of one variation have several sizes: {listed}", "make them at one resolution"
        problems.append(Problem(str(out), None, "", "", message, remedy))
    return made, problems


def _made(episode: Episode, folder: Path) -> MadeEpisode:
    path = folder / RUN_FILE
    location = Location(str(path))
    record, problems = validate(FinishedRun, read_json(path), location)
    if record is None or problems:
        raise InputError(problems)
    video = output_of(folder, record.output.frames)
    if video.name not in record.outputs:
        raise InputError([location.problem("outputs", f"names no {video.name}", "make the run again")])
    return MadeEpisode(episode, record, video, record.outputs[video.name].sha256)


def _faults(dataset: CameraEpisodes, made: MadeEpisode, folder: Path) -> list[Problem]:
    """Why the output of a run cannot stand for its episode."""
    location, episode = Location(str(folder / RUN_FILE)), made.episode
    problems = []
    if made.record.output.frames != episode.length:
        message = f"is not {episode.length}, the length of {episode.name}"
        remedy = "make it without num_frames, from the whole episode"
        problems.append(location.problem("output.frames", message, remedy, made.record.output.frames))
    source = made.record.run.video
    if source is not None and _is_other_file(dataset, source, episode):
        message = f"is not the video of {episode.name} of {dataset.camera}"
        problems.append(
            location.problem("run.video", message, "name the camera that the run was made from", source)
        )
    try:
        same = file_digest(made.video) == made.digest
    except OSError as error:
        message, same = f"cannot be read ({error.strerror})", False
    else:
        message = "is not as it was left: damaged or replaced"
    if not same:
        problems.append(Problem(str(made.video), None, "", "", message, "run the same command again"))
    return problems


def _is_other_file(dataset: CameraEpisodes, source: str, episode: Episode) -> bool:
    """Whether a run's input is a file of the dataset, or a span of one, and not that of the episode."""
    file, span = split_span(source)
    path, root = Path(file).resolve(), dataset.root.resolve()
    if not path.is_relative_to(root):
        return False
    own = Span(episode.start, episode.length)
    return path != (root / episode.video).resolve() or (span is not None and not span.in_seconds and span != own)


def _causes(out: Path) -> dict[str, str]:
    """Why runs of the latest command did not succeed, by id."""
    path = out / MANIFEST
    if not path.is_file():
        return {}
    lines = (line for _, line in json_lines(path))
    return {
        str(line.get("id")): f"{line.get('state')}: {line.get('cause') or 'no cause is recorded'}"
        for line in lines
        if line.get("state") != "succeeded"
    }


def _missing(out: Path, variation: str, episode: Episode, causes: Mapping[str, str]) -> Problem:
    own = [cause for run_id, cause in causes.items() if episode_of(run_id) == (episode.index, variation)]
    message = f"{episode.name} of the variation {variation} has no finished run"
    if own:
        message += f" ({own[0]})"
    return Problem(str(out), None, "", "", message, "make it, or leave such episodes out with --skip-missing")
