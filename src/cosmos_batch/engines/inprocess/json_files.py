"""JSON files of a model's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cosmos_batch.errors import ModelError


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ModelError where the file is missing, damaged or holds something else."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"{file}: not readable as JSON ({exc})") from exc
    if not isinstance(value, dict):
        raise ModelError(f"{file}: holds {type(value).__name__}, not an object")
    return value


def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a component. Raises ModelError as `read_json` does."""
    return read_json(folder / "config.json")


def integer_fields(config: Mapping[str, Any], names: Iterable[str], file: str, kind: str) -> dict[str, int]:
    """Take sizes from a component's configuration. Raises ModelError for one that is missing."""
    try:
        return {name: int(config[name]) for name in names}
    except KeyError as exc:
        raise ModelError(f"{file}: no field {exc}, which a {kind} needs") from exc
