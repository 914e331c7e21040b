"""Settings of a model beside its weights: sizes, chunks, guardrail, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cosmos_batch.engines.inprocess.json_files import read_json
from cosmos_batch.errors import ModelError
from cosmos_batch.run import Sampling

SETTINGS_FILE = "cosmos_batch.json"

Pixels = Annotated[int, Field(ge=16, multiple_of=16)]
Size = tuple[Pixels, Pixels]
Aspect = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*:[1-9][0-9]*$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ModelSettings:
    """Settings of a model; the file of this name in its folder holds the same fields."""

    name: str
    sizes: Mapping[str, Mapping[Aspect, Size]]  # by resolution and aspect ratio, "16:9": (width, height)
    chunk_frames: Annotated[int, Field(ge=1)]  # frames of a chunk
    overlap: Annotated[int, Field(ge=0)]  # frames that a chunk shares with the one before
    guardrail: Literal["nvidia", "none"]
    defaults: Sampling  # values for settings that a run does not give


def read_settings(folder: Path, published: ModelSettings) -> ModelSettings:
    """Read the settings in a model's folder; those of the published model if there are none.

    Raises ModelError where they are wrong.
    """
    file = folder / SETTINGS_FILE
    if not file.exists():
        return published
    try:
        return TypeAdapter(ModelSettings).validate_python(read_json(file))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise ModelError(f"{file}: {wrong}") from exc
