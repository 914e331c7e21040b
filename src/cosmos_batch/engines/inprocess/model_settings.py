"""Settings of a model beside its weights: sizes, chunks, guardrail, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
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


Sampler = Literal["unipc", "distilled"]
"""How a model is sampled: many steps of a solver with guidance, or one to four steps without."""
DISTILLED_STEPS = 4
"""The most steps of a distilled model: it was trained with one to four of fixed noise levels."""
_USUAL: Sampler = "unipc"


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ModelSettings:
    """Settings of a model; the file of this name in its folder holds the same fields."""

    name: str
    sizes: Mapping[str, Mapping[Aspect, Size]]  # by resolution and aspect ratio, "16:9": (width, height)
    chunk_frames: Annotated[int, Field(ge=1)]  # frames of a chunk
    overlap: Annotated[int, Field(ge=0)]  # frames that a chunk shares with the one before
    guardrail: Literal["nvidia", "none"]
    defaults: Sampling  # values for settings that a run does not give
    sampler: Sampler = _USUAL
    known_sigma: Annotated[float, Field(gt=0, lt=1)] = 0.1  # noise level at which given latent frames are read
    bfloat16_levels: bool = False  # whether the network reads noise levels rounded to bfloat16

    @property
    def guided(self) -> bool:
        """Whether runs have guidance."""
        return self.sampler != "distilled"

    @property
    def most_steps(self) -> int | None:
        """The most denoising steps of a chunk; None: there is no limit."""
        return DISTILLED_STEPS if self.sampler == "distilled" else None


def read_settings(folder: Path, published: ModelSettings) -> ModelSettings:
    """Read the settings in a model's folder, those that it leaves out taken from the published model.

    Raises ModelError where they are wrong.
    """
    file = folder / SETTINGS_FILE
    if not file.exists():
        return published
    own = {field.name: getattr(published, field.name) for field in fields(published)}
    try:
        return TypeAdapter(ModelSettings).validate_python({**own, **read_json(file)})
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise ModelError(f"{file}: {wrong}") from exc


def sampler_of(folder: Path) -> str:
    """The sampler that the settings in a model's folder name, not yet checked; "unipc" where they name none.

    Raises ModelError where the file cannot be read.
    """
    file = folder / SETTINGS_FILE
    return str(read_json(file).get("sampler", _USUAL)) if file.exists() else _USUAL
