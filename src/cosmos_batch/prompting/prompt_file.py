"""The file of written prompts, which is reviewed before anything is made: JSONL, a prompt in each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.common import StrictModel
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.formats.records import Record, RecordFile
from cosmos_batch.formats.validate import validate
from cosmos_batch.media.atomic import replacing
from cosmos_batch.prompting.prompt_request import Style
from cosmos_batch.run import Prompt

_Text = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPrompt:
    """A prompt for a clip, with its provenance."""

    video: str  # absolute path of the clip
    prompt_name: str  # "caption", or the name of the instruction
    prompt: str  # the text, or a JSON object as text; free to edit
    instruction: str | None  # what the caption was varied by; None for the caption itself
    caption: str  # the caption that was varied, as the model gave it
    video_sha256: str
    frames: int  # pictures that the model got
    style: Style
    question: str  # asked in place of the built-in text; "": the built-in one
    endpoint: str  # address of the server, without secrets
    model: str
    made_at: str  # ISO 8601, UTC

    @property
    def place(self) -> tuple[str, str]:
        """What a file has one prompt for."""
        return (self.video, self.prompt_name)

    @property
    def origin(self) -> dict[str, object]:
        """What the prompt was made from, by field: where that differs, it is the prompt of another request."""
        names = ("video_sha256", "model", "instruction", "style", "frames", "question")
        return {name: getattr(self, name) for name in names}


class _Line(StrictModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    video: _Text
    prompt_name: _Text
    prompt: Prompt
    instruction: str | None = None
    caption: str
    video_sha256: _Text
    frames: Annotated[int, Field(ge=1)]
    style: Style
    question: str
    endpoint: str
    model: str
    made_at: str


def read_prompts(path: Path) -> list[WrittenPrompt]:
    """The prompts of a file; none where there is no file. Raises InputError with all problems of its lines."""
    if not path.exists():
        return []
    prompts: list[WrittenPrompt] = []
    problems: list[Problem] = []
    for item in RecordFile(path, printable(str(path))).records():
        if not isinstance(item, Record):
            problems.append(item)
            continue
        model, found = validate(_Line, item.value, item.location)
        problems += found
        if model is not None and not found:
            prompts.append(WrittenPrompt(**model.model_dump()))
    problems += _doubled(prompts, Location(printable(str(path))))
    if problems:
        raise InputError(problems)
    return prompts


def write_prompts(path: Path, prompts: Iterable[WrittenPrompt]) -> None:
    """Replace the file by these prompts, whole or not at all. Raises StorageError."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as stream:
        for prompt in prompts:
            stream.write(json.dumps(asdict(prompt), ensure_ascii=False) + "\n")


def _doubled(prompts: Sequence[WrittenPrompt], location: Location) -> list[Problem]:
    seen: set[tuple[str, str]] = set()
    problems = []
    for prompt in prompts:
        if prompt.place in seen:
            message = f"is named twice for {prompt.video}"
            problems.append(location.problem("prompt_name", message, "keep one of the lines", prompt.prompt_name))
        seen.add(prompt.place)
    return problems
