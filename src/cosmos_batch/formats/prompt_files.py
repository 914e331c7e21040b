"""Prompts that a sample gives as text or by the name of a file."""

from __future__ import annotations

from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PromptFault
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.run_builder import Source


def prompt_of(
    text: str | None, path: str | None, place: Location, source: Source
) -> tuple[str | None, list[Problem]]:
    """The prompt, from its file where only that is named; and what is wrong with the two."""
    if path is None:
        return text, []
    if text is not None:
        remedy = "keep one of prompt and prompt_path"
        return text, [place.problem("prompt_path", "is given beside a prompt", remedy, path)]
    read = source.locator.prompt(path)
    if isinstance(read, PromptFault):
        return None, [place.problem("prompt_path", read.message, read.remedy, path)]
    if not read:
        return None, [place.problem("prompt_path", "is a file without text", "write the prompt into it")]
    return read, []
