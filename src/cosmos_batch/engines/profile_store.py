"""Profiles that calibration measured on this machine, kept between commands.

There is one file for each engine and combination of options.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.planning.cost.model import CostModel


def _file(folder: Path, engine: str, options: Sequence[str]) -> Path:
    return folder / f"{'-'.join((engine, *options))}.json"


def keep_profile(folder: Path, cost: CostModel, options: Sequence[str] = ()) -> Path:
    """Write a profile, in place of the last one of that engine with these options. Raises StorageError.

    Returns the path of its file.
    """
    file = _file(folder, cost.engine, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.write_text(json.dumps(asdict(cost), indent=2) + "\n")
    except OSError as exc:
        raise StorageError(f"{file}: the profile cannot be written ({exc})") from exc
    return file


def kept_profile(folder: Path, engine: str, options: Sequence[str] = ()) -> CostModel | None:
    """The last measured profile of an engine with these options; None where there is none.

    Raises StorageError where it is damaged.
    """
    file = _file(folder, engine, options)
    try:
        return TypeAdapter(CostModel).validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        message = f"{file}: not a readable profile; remove it, or measure anew with cosmos-batch calibrate"
        raise StorageError(message) from exc
