"""Helpers for tests of input files: a minimal record, the writer's type, problems in short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmos_batch.errors import Problem

Write = Callable[[str, Any], Path]
"""Writes a file: text or bytes as they are, a list as JSONL, an object as JSON."""


def minimal(**changes: Any) -> dict[str, Any]:
    """A native record with the required fields alone, and the changes."""
    least = {
        "prompt": "the street at night",
        "inputs": {"video": "street.mp4"},
        "execution_config": {"weights": {"edge": 0.5}},
    }
    return {**least, **changes}


def lines_and_fields(problems: tuple[Problem, ...]) -> list[tuple[int | None, str]]:
    """Line and field of each problem."""
    return [(problem.line, problem.field) for problem in problems]
