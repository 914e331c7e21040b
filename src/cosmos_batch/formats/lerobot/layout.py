"""Layout of a LeRobot dataset on disk: its info, and where the episodes of one camera are.

v2.1 keeps a video per episode and its metadata in `meta/episodes.jsonl`; v3 keeps many episodes in one video and
the metadata in `meta/episodes/chunk-*/file-*.parquet`, with the time at which each episode begins in its video.
Source: the format descriptions of `huggingface/lerobot` (`lerobot/datasets/utils.py`, releases 0.3 and 0.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json
from cosmos_batch.formats.lerobot.tables import column_names, read_rows
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import validate
from cosmos_batch.run import MAX_FPS, MIN_FPS

INFO = Path("meta/info.json")
EPISODES_V2 = Path("meta/episodes.jsonl")
EPISODES_V3 = Path("meta/episodes")
_VERSIONS = ("v2.1", "v3")
_RANGE = re.compile(r"(\d+)(?:(:)(\d*))?")
_CHUNK = 1000  # files in a folder, where info.json does not say


class Feature(BaseModel):
    """One column of a dataset, or one camera."""

    model_config = ConfigDict(extra="allow", strict=True)

    dtype: str
    shape: list[int]
    names: object = None


class DatasetInfo(BaseModel):
    """The fields of `meta/info.json` that are used; the others stay as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    codebase_version: str
    fps: Annotated[float, Field(ge=MIN_FPS, le=MAX_FPS, allow_inf_nan=False)]
    features: dict[str, Feature]
    data_path: str
    video_path: str | None = None
    chunks_size: Annotated[int, Field(ge=1)] = _CHUNK

    @property
    def is_v3(self) -> bool:
        """Whether many episodes share a video."""
        return self.codebase_version.startswith("v3")

    @property
    def rate(self) -> Fraction:
        """Frames per second as a fraction of small numbers."""
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that are kept as videos."""
        return tuple(name for name, feature in self.features.items() if feature.dtype == "video")


@dataclass(frozen=True, slots=True)
class Episode:
    """One recording of a dataset, as one camera saw it."""

    index: int  # from 0, without gaps
    length: int  # frames
    tasks: tuple[str, ...]  # descriptions in words
    video: Path  # relative to the dataset
    start: int  # the number of its first frame in that video
    columns: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)
    """Its other columns of the metadata that are texts, numbers, true or false."""

    @property
    def name(self) -> str:
        """The name in ids of runs and names of files."""
        return episode_name(self.index)


@dataclass(frozen=True, slots=True)
class CameraEpisodes:
    """The episodes of a dataset as one camera saw them."""

    root: Path
    camera: str
    info: DatasetInfo
    episodes: tuple[Episode, ...]


def episode_name(index: int) -> str:
    """The name of an episode: `episode_000012`, as v2.1 names its files."""
    return f"episode_{index:06d}"


def read_dataset(root: Path, camera: str) -> CameraEpisodes:
    """Read the episodes of one camera. Raises InputError with all problems."""
    info = _read_info(root)
    _check_camera(root, info, camera)
    problems: list[Problem] = []
    episodes = []
    for location, row in _episode_rows(root, info, camera):
        found = _episode(row, location, info, camera)
        if isinstance(found, Episode):
            episodes.append(found)
        else:
            problems += found
    if not problems:
        problems += _numbering_faults(root, episodes)
    for path in sorted({root / episode.video for episode in episodes}):
        if not path.is_file():
            remedy = f"download the videos of {camera}, too"
            problems.append(Problem(str(path), None, "", "", "no such file, and episodes are in it", remedy))
    if problems:
        raise InputError(problems)
    return CameraEpisodes(root, camera, info, tuple(episodes))


def chosen_episodes(dataset: CameraEpisodes, choice: str | None) -> list[Episode]:
    """The episodes of a choice such as `0:10,15`, without the ends of ranges; None: all. Raises InputError."""
    if choice is None:
        return list(dataset.episodes)
    count = len(dataset.episodes)
    numbers: set[int] = set()
    for part in choice.split(","):
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else count
        end = (int(match[3]) if match[3] else count) if match and match[2] else first + 1
        if not match or end > count or first >= end:
            message = f"is no range of the {count} episodes"
            remedy = f"give numbers and ranges from 0 to {count - 1}, such as 0:10,15"
            raise InputError([Problem("", None, "--episodes", part, message, remedy)])
        numbers.update(range(first, end))
    return [dataset.episodes[number] for number in sorted(numbers)]


def read_json(path: Path) -> dict[str, object]:
    """The object of a JSON file. Raises InputError."""
    return parsed_object(_contents(path), Location(str(path)))


def json_lines(path: Path) -> Iterator[tuple[Location, dict[str, object]]]:
    """Yield the objects of a JSONL file with their locations. Raises InputError."""
    for number, line in enumerate(_contents(path).splitlines(), 1):
        if line.strip():
            location = Location(str(path), number)
            yield location, parsed_object(line, location)


def parsed_object(raw: bytes, location: Location) -> dict[str, object]:
    """The JSON object of these bytes. Raises InputError."""
    try:
        value = parse_json(raw)
    except MalformedJsonError as error:
        raise InputError([location.problem("", error.message, error.remedy)]) from error
    if not isinstance(value, dict):
        raise InputError([location.problem("", "is not an object", "restore the file of the dataset", value)])
    return value


def template_path(info: DatasetInfo, field: str, values: Mapping[str, object], location: Location) -> Path:
    """The path that a template of `info.json` gives. Raises InputError for one that leaves the dataset."""
    template = info.video_path if field == "video_path" else info.data_path
    try:
        path = Path((template or "").format_map(values))
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        remedy = f"use {', '.join('{' + name + '}' for name in values)}"
        raise InputError([location.problem(field, "is no template of a path", remedy, template)]) from error
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise InputError(
            [location.problem(field, "is no path inside the dataset", "give a relative path", template)]
        )
    return path


def v2_values(info: DatasetInfo, camera: str, index: int) -> dict[str, object]:
    """What a template of v2.1 may name."""
    return {"episode_chunk": index // info.chunks_size, "episode_index": index, "video_key": camera}


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        remedy = "name the folder of a LeRobot dataset, which holds meta/info.json"
        raise InputError([Problem(str(path), None, "", "", message, remedy)]) from error


def _read_info(root: Path) -> DatasetInfo:
    path = root / INFO
    location = Location(str(path))
    info, problems = validate(DatasetInfo, read_json(path), location)
    if problems or info is None:
        raise InputError(problems)
    if not info.codebase_version.startswith(_VERSIONS):
        remedy = "convert it with the scripts of lerobot: v2.1 and v3 are read"
        found = info.codebase_version
        raise InputError([location.problem("codebase_version", "is not a supported layout", remedy, found)])
    return info


def _check_camera(root: Path, info: DatasetInfo, camera: str) -> None:
    if camera in info.cameras and info.video_path:
        return
    known = ", ".join(info.cameras)
    message, remedy = "is no camera of the dataset", f"name one of {known}" if known else "it has no videos"
    if camera in info.features:
        kind = info.features[camera].dtype
        message = f"is kept as {kind}, not as videos"
        remedy = f"name one of {known}" if known else "convert its pictures to videos with lerobot"
    raise InputError([Problem(str(root / INFO), None, "--camera", camera, message, remedy)])


def _episode_rows(root: Path, info: DatasetInfo, camera: str) -> list[tuple[Location, dict[str, object]]]:
    """Rows of the metadata of episodes, in the order of the episodes."""
    if not info.is_v3:
        rows = list(json_lines(root / EPISODES_V2))
    else:
        of_camera = [f"videos/{camera}/{name}" for name in _V3_COLUMNS]
        rows = [
            (Location(str(path)), row)
            for path in episode_files(root)
            for row in read_rows(path, [*of_camera, *(name for name in column_names(path) if "/" not in name)])
        ]
    return sorted(rows, key=lambda located: _order(located[1].get("episode_index")))


def _order(index: object) -> int:
    return index if isinstance(index, int) else -1


_V3_COLUMNS = ("chunk_index", "file_index", "from_timestamp")


def episode_files(root: Path) -> list[Path]:
    """The files of v3 that hold the metadata of episodes, in order. Raises InputError where there are none."""
    files = sorted((root / EPISODES_V3).glob("*/*.parquet"))
    if not files:
        message, remedy = "holds no metadata of episodes", "download the whole folder meta"
        raise InputError([Problem(str(root / EPISODES_V3), None, "", "", message, remedy)])
    return files


class _V2Row(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    episode_index: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(ge=1)]
    tasks: list[str] = []


class _V3Row(_V2Row):
    chunk_index: Annotated[int, Field(ge=0)]
    file_index: Annotated[int, Field(ge=0)]
    from_timestamp: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _numbering_faults(root: Path, episodes: Sequence[Episode]) -> list[Problem]:
    """The first gap or repetition in the numbers of the episodes."""
    location = Location(str(root / INFO))
    if not episodes:
        return [location.problem("", "the dataset has no episode", "record one first")]
    for number, episode in enumerate(episodes):
        if episode.index != number:
            message = f"has no episode {number}" if episode.index > number else f"has two episodes {episode.index}"
            return [location.problem("", message, "number them from 0 without gaps, as lerobot does")]
    return []


def _episode(
    row: Mapping[str, object], location: Location, info: DatasetInfo, camera: str
) -> Episode | list[Problem]:
    """The episode of a row, or its problems."""
    prefix = f"videos/{camera}/"
    plain = {name.removeprefix(prefix): value for name, value in row.items()}
    model, problems = validate(_V3Row if info.is_v3 else _V2Row, plain, location)
    if model is None or problems:
        return problems
    index = model.episode_index
    if isinstance(model, _V3Row):
        values = {"video_key": camera, "chunk_index": model.chunk_index, "file_index": model.file_index}
        start = round(model.from_timestamp * info.rate)
    else:
        values, start = v2_values(info, camera, index), 0
    try:
        video = template_path(info, "video_path", values, location)
    except InputError as error:
        return list(error.problems)
    others = {name: value for name, value in row.items() if "/" not in name and name not in _V2Row.model_fields}
    columns = {name: value for name, value in others.items() if isinstance(value, str | int | float)}
    return Episode(index, model.length, tuple(model.tasks), video, start, columns)
