"""What a model says of itself beside its weights: sizes, chunks, guardrail, defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cosmos_batch.engines.catalogue import TRANSFER25_SIZES, transfer_traits
from cosmos_batch.errors import ModelError
from cosmos_batch.planning.traits import Traits
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
    chunk_frames: Annotated[int, Field(ge=1)]  # frames that go through the network at a time
    overlap: Annotated[int, Field(ge=0)]  # frames that a chunk takes over from the one before
    guardrail: Literal["nvidia", "none"]
    defaults: Sampling  # what the model says where a run says nothing


# The negative prompt that NVIDIA's Transfer2.5 code and diffusers' pipeline use where none is given
_NEGATIVE_PROMPT = (
    "The video captures a series of frames showing ugly scenes, static with no motion, motion blur, "
    "over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit areas, "
    "underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky "
    "movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, "
    "fake elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. "
    "Overall, the video is of poor quality."
)

TRANSFER25 = ModelSettings(
    name="Cosmos-Transfer2.5-2B",
    sizes={
        resolution: {f"{wide}:{high}": size for (wide, high), size in buckets.items()}
        for resolution, buckets in TRANSFER25_SIZES.items()
    },
    chunk_frames=93,
    overlap=1,
    guardrail="nvidia",
    defaults=Sampling(
        num_steps=36,
        guidance=3.0,
        sigma_max=200.0,
        seed=2025,
        fps="input",
        resolution="720",
        negative_prompt=_NEGATIVE_PROMPT,
    ),
)
"""The published checkpoint, as its diffusers pipeline and NVIDIA's resolution table have it."""


def read_settings(folder: Path) -> ModelSettings:
    """The settings in a model's folder, else those of Transfer2.5. Raises ModelError where they are wrong."""
    file = folder / SETTINGS_FILE
    if not file.exists():
        return TRANSFER25
    try:
        return TypeAdapter(ModelSettings).validate_python(json.loads(file.read_text()))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise ModelError(f"{file}: {wrong}") from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"{file}: not readable as JSON ({exc})") from exc


def traits_of(settings: ModelSettings, controls: frozenset[str]) -> Traits:
    """A model as the planner sees it, with the control branches that it has."""
    sizes = {
        resolution: {_ratio(aspect): size for aspect, size in buckets.items()}
        for resolution, buckets in settings.sizes.items()
    }
    return transfer_traits(
        settings.name,
        sizes=sizes,
        defaults=settings.defaults,
        chunk_frames=settings.chunk_frames,
        overlap=settings.overlap,
        controls=controls,
    )


def _ratio(aspect: str) -> tuple[int, int]:
    wide, high = aspect.split(":")
    return int(wide), int(high)
