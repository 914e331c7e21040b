"""Prompts that a sample gives as text, or by the path of a file."""

from __future__ import annotations

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
