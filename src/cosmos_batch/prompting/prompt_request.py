"""The request for prompts: clips, instructions, and the style of the prompts, from a file of either kind.

A file of runs names the clips alone; a sweep, or a file of its own, also says what to vary:
`{"videos": ["clips/*.mp4"], "instructions": {"rain": "heavy rain"}, "style": "json"}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats import read_files
from cosmos_batch.formats.common import StrictModel
from cosmos_batch.formats.input_files import PathResolver, exists
from cosmos_batch.formats.json_text import MalformedJsonError
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.formats.sweep.document import Document, read_document
from cosmos_batch.formats.sweep.read import KEYS, is_sweep, videos_of_sweep
from cosmos_batch.formats.sweep.video_files import VIDEO_SUFFIXES, find_videos
from cosmos_batch.formats.validate import validate

Style = Literal["text", "json"]
"""A prompt in prose, or the JSON object that Cosmos 3 takes."""

CAPTION = "caption"
"""The name of the prompt that is the caption itself."""

MAX_FRAMES = 64

_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
Name = Annotated[
    str,
    StringConstraints(pattern=_NAME),
    Field(description="1 to 64 letters, digits, '.', '_' or '-', the first a letter, digit or '_'"),
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]


@dataclass(frozen=True, slots=True)
class Instruction:
    """A way to vary a caption."""

    name: str  # of the prompt that it gives; unique in a request
    text: str  # for example "heavy rain, wet road"


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """The prompts that are wanted of some clips."""

    videos: tuple[str, ...]  # absolute paths, each once
    locations: Mapping[str, Location]  # of each video in its file, for problems that are found later
    instructions: tuple[Instruction, ...]
    style: Style = "text"
    frames: int = 8  # pictures of each clip that the model gets
    question: str = ""  # asked of each clip in place of the built-in text; "": the built-in one


def _listed(value: object) -> object:
    """One text as a list of it."""
    return [value] if isinstance(value, str) else value


def _named(value: object) -> object:
    """A list of texts as an object of texts with names."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return value
    made: dict[str, str] = {}
    for text in value:
        made[_name_of(text, made)] = text
    return made


class _File(StrictModel):
    videos: Annotated[
        list[str], BeforeValidator(_listed), Field(description="a path, a pattern or a folder, or a list of such")
    ]
    instructions: Annotated[
        dict[Name, Words], BeforeValidator(_named), Field(description="an object of texts, or a list of texts")
    ] = Field(default_factory=dict)
    style: Style = "text"
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)] = 8
    question: Words | None = None


def read_request(paths: Sequence[Path]) -> tuple[PromptRequest, list[Problem]]:
    """The request of files of runs and requests for prompts, and all their problems.

    Where several files ask for a style, a number of frames or a question, the last one counts.
    """
    reading = _Reading()
    run_files = [path for path in paths if not reading.take(path)]
    if run_files:
        reading.take_runs(run_files)
    request = PromptRequest(
        tuple(reading.videos),
        reading.videos,
        tuple(reading.instructions),
        reading.style,
        reading.frames,
        reading.question,
    )
    if not reading.videos and not reading.problems:
        reading.problems.append(Problem("", None, "videos", "", "there is no clip in the files", "name one"))
    return request, reading.problems


def given_instructions(texts: Iterable[str], others: Sequence[Instruction] = ()) -> list[Instruction]:
    """Instructions of the command line, `NAME=TEXT` or a text alone, beside those of files.

    Raises InputError with all problems.
    """
    made = list(others)
    problems = []
    for text in texts:
        name, mark, words = text.partition("=")
        if mark and re.match(_NAME, name) and words.strip():
            made.append(Instruction(name, words.strip()))
        elif not mark and text.strip():
            made.append(Instruction(_name_of(text, {each.name for each in made}), text.strip()))
        else:
            remedy = "give NAME=TEXT, for example rain='heavy rain'"
            problems.append(Location().problem("--instruction", "is no instruction", remedy, text))
    problems += _repeated(made, Location(), "--instruction")
    if problems:
        raise InputError(problems)
    return made[len(others) :]


class _Reading:
    """The state of one call of `read_request`."""

    def __init__(self) -> None:
        self.videos: dict[str, Location] = {}
        self.instructions: list[Instruction] = []
        self.style: Style = "text"
        self.frames = 8
        self.question = ""
        self.problems: list[Problem] = []

    def take(self, path: Path) -> bool:
        """Read a request for prompts, or a sweep; False for a file of another kind, or one that cannot be read."""
        try:
            document = read_document(path.read_bytes()) if path.is_file() else None
        except (OSError, MalformedJsonError):
            return False  # its problem is that of a file of runs, or it has lines
        value = None if document is None else document.value
        if document is None or not isinstance(value, dict):
            return False
        location, folder = Location(printable(str(path))), path.absolute().parent
        if is_sweep(value) and not value.keys().isdisjoint(KEYS - _File.model_fields.keys()):
            self._take_sweep(document, value, location, PathResolver(folder))
            return True
        if value.keys().isdisjoint({"videos", "instructions"}):
            return False
        model, problems = validate(_File, value, location)
        self.problems += problems
        if model is not None:
            self._take_model(model, folder, location)
        return True

    def _take_sweep(
        self, document: Document, value: Mapping[str, object], location: Location, paths: PathResolver
    ) -> None:
        """Take the videos of a sweep, and its instructions."""
        videos, problems = videos_of_sweep(document, location.file, paths)
        for video in videos:
            self.videos.setdefault(video, location)
        own = {"videos": [], "instructions": value.get("instructions", {})}
        model, found = validate(_File, own, location)
        self.problems += [*problems, *found]
        if model is not None:
            self._take_instructions(model, location)

    def take_runs(self, paths: Sequence[Path]) -> None:
        """Take the input videos of runs, else the videos of their first controls."""
        loaded = read_files(paths)
        self.problems += loaded.problems
        for run in loaded.runs:
            video = run.video or next((control.video for control in run.active if control.video), None)
            if video is not None:
                self.videos.setdefault(video, loaded.location_of(run))

    def _take_model(self, model: _File, folder: Path, location: Location) -> None:
        for pattern in model.videos:
            found = _matches(pattern, folder)
            if not found:
                remedy = f"correct it or supply the files; looked in {printable(str(folder))}"
                self.problems.append(location.problem("videos", "matches no video file", remedy, pattern))
            for video in found:
                self.videos.setdefault(video, location)
        self._take_instructions(model, location)
        self.style, self.frames = model.style, model.frames
        self.question = model.question or self.question

    def _take_instructions(self, model: _File, location: Location) -> None:
        made = [Instruction(name, text) for name, text in model.instructions.items()]
        self.instructions += [each for each in made if each not in self.instructions]
        self.problems += _repeated(self.instructions, location, "instructions")


def _matches(pattern: str, folder: Path) -> list[str]:
    """The absolute paths of the video files that a path, a pattern or a folder stands for, in order."""
    found = find_videos(PathResolver(folder), pattern, VIDEO_SUFFIXES)
    if isinstance(found, str):
        return []
    return [video.path for video in found if exists(Path(video.path))]


def _name_of(text: str, taken: Iterable[str]) -> str:
    """A free name for an instruction, made of its first words."""
    stem = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].rstrip("_") or "instruction"
    used, name, number = {each.casefold() for each in (*taken, CAPTION)}, stem, 2
    while name in used:
        name, number = f"{stem}_{number}", number + 1
    return name


def _repeated(instructions: Sequence[Instruction], location: Location, field: str) -> list[Problem]:
    seen, problems = {CAPTION}, []
    for each in instructions:
        if each.name.casefold() in seen:
            message = "is the name of another prompt"
            problems.append(location.problem(field, message, "give each a name of its own", each.name))
        seen.add(each.name.casefold())
    return problems
