"""Profiles that calibration measured on this machine, kept between commands: one file for each engine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.planning.cost import CostModel


def _file(folder: Path, engine: str) -> Path:
    return folder / f"{engine}.json"


def keep_profile(folder: Path, cost: CostModel) -> Path:
    """Write a profile in place of the engine's last; returns where. Raises StorageError."""
    file = _file(folder, cost.engine)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.write_text(json.dumps(asdict(cost), indent=2) + "\n")
    except OSError as exc:
        raise StorageError(f"{file}: the profile cannot be written ({exc})") from exc
    return file


def kept_profile(folder: Path, engine: str) -> CostModel | None:
    """An engine's profile as it was last measured; None where there is none. Raises StorageError: damaged."""
    file = _file(folder, engine)
    try:
        return TypeAdapter(CostModel).validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        message = f"{file}: not a readable profile; remove it, or measure anew with cosmos-batch calibrate"
        raise StorageError(message) from exc
