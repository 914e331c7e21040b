"""Prompts that a sample gives as text, or by the path of a file."""

from __future__ import annotations

import json

from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PromptFault
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.run_builder import SourceFile


def prompt_of(
    text: str | None, path: str | None, location: Location, source: SourceFile
) -> tuple[str | None, list[Problem]]:
    """The prompt, from its file where no text is given, and the problems of the two fields."""
    if path is None:
        return text, []
    if text is not None:
        remedy = "keep one of prompt and prompt_path"
        return text, [location.problem("prompt_path", "is given beside a prompt", remedy, path)]
    read = source.paths.prompt(path)
    if isinstance(read, PromptFault):
        return None, [location.problem("prompt_path", read.message, read.remedy, path)]
    if not read:
        return None, [location.problem("prompt_path", "is a file without text", "write the prompt into it")]
    return read, []


def caption_of(
    text: str | None, path: str | None, location: Location, source: SourceFile
) -> tuple[str | None, list[Problem]]:
    """As `prompt_of`, with the object in a `.json` file byte for byte: Cosmos 3's models are trained on those."""
    if path is None or text is not None or not path.lower().endswith(".json"):
        return prompt_of(text, path, location, source)
    return _caption("prompt_path", path, location, source)


def negative_caption_of(
    text: str | None, path: str | None, location: Location, source: SourceFile
) -> tuple[str | None, list[Problem]]:
    """The negative prompt, as text or as the object in a file, byte for byte, and the problems of the two fields.

    Both may be given if they are the same object: so are they in the files that are written for Cosmos 3.
    """
    if path is None:
        return text, []
    read, problems = _caption("negative_prompt_file", path, location, source)
    if text is not None and read is not None and json_object(text) != json_object(read):
        remedy = "keep one of negative_prompt and negative_prompt_file"
        problems.append(
            location.problem("negative_prompt_file", "is given beside a negative prompt", remedy, path)
        )
    return read, problems


def json_object(text: str) -> dict[str, object] | None:
    """The object that a text is, as Cosmos 3 decides it; None for any other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _caption(name: str, path: str, location: Location, source: SourceFile) -> tuple[str | None, list[Problem]]:
    """The text of a JSON file, unchanged, and the problems of the field that names it."""
    read = source.paths.text(path)
    if isinstance(read, PromptFault):
        return None, [location.problem(name, read.message, read.remedy, path)]
    if json_object(read) is None:
        remedy = "mend it, or give a prompt in words as a .txt file"
        return None, [location.problem(name, "is a file without a JSON object", remedy, path)]
    return read, []
