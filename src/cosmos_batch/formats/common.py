"""Field types that several formats share, and the default prompts of NVIDIA's formats."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

PathText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$"),
    Field(description="a path, as text"),
]
Text = Annotated[str, StringConstraints(max_length=100_000)]

# Both are the argparse and pydantic defaults of NVIDIA's code: cosmos_transfer1/diffusion/inference/transfer.py
# and cosmos_transfer2/config.py.
STOCK_PROMPT = (
    "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a "
    "lifelike appearance that is almost indistinguishable from reality. It appears to be from a high-budget "
    "4K movie, showcasing ultra-high-definition quality with impeccable resolution."
)
STOCK_NEGATIVE_PROMPT = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a "
    "recording of old outdated games. The lighting looks very fake. The textures are very raw and basic. The "
    "geometries are very primitive. The images are very pixelated and of poor CG quality. There are many "
    "subtitles in the footage. Overall, the video is unrealistic at all."
)


class StrictModel(BaseModel):
    """A record that refuses unknown keys, and converts no value to another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


def only(default: object, remedy: str, *others: object) -> AfterValidator:
    """Accept the default, null and `others` alone: for settings that a run does not have."""
    known = [(type(each) is bool, each) for each in (None, default, *others)]

    def check(value: Any) -> Any:
        if (type(value) is bool, value) not in known:
            raise PydanticCustomError("unsupported", "is not supported", {"remedy": remedy})
        return value

    return AfterValidator(check)
