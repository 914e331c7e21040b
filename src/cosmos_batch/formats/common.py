"""Field types that several formats share, annotations of runs, and the default prompts of NVIDIA's formats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic_core import PydanticCustomError

from cosmos_batch.formats.json_text import text_fault, unstorable_texts
from cosmos_batch.formats.problems import shown
from cosmos_batch.run import MAX_METADATA, MAX_TAG, MAX_TAGS, Annotations, Prompt

PathText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$"),
    Field(description="a path, as text"),
]


def _storable(text: str) -> str:
    if fault := text_fault(text):
        raise _refused(fault, "remove it")
    return text


Text = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_storable)]
PromptText = Annotated[Prompt, AfterValidator(_storable)]

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


TAG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,63}")
"""The form of a tag's name."""


def _bounded(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The metadata, if a database can store them and they are short. Raises PydanticCustomError."""
    try:
        length = len(json.dumps(value, allow_nan=False))
    except ValueError as error:
        raise _refused("hold NaN or Infinity", "give numbers that JSON has") from error
    except RecursionError as error:
        raise _refused("are nested too deeply", "nest them less") from error
    if length > MAX_METADATA:
        remedy = f"keep them below {MAX_METADATA:,}, or name a file that holds them"
        raise _refused(f"are {length:,} characters long", remedy)
    if fault := next(unstorable_texts(value), None):
        raise _refused(f"hold a text that {fault[1]}", "remove it")
    return value


def _tags(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The tags, if names and values keep their rules. Raises PydanticCustomError."""
    for name, text in value.items():
        if not TAG_NAME.fullmatch(name):
            raise _refused(f"have the name {shown(name)}", "use 1 to 64 letters, digits, '.', '_', '/' or '-'")
        if not isinstance(text, str) or len(text) > MAX_TAG or text_fault(text):
            raise _refused(
                f"give {name} a value that cannot be used", f"give a text of at most {MAX_TAG} characters"
            )
    if len(value) > MAX_TAGS:
        raise _refused(f"are {len(value):,}", f"keep at most {MAX_TAGS}, and put the others into metadata")
    return value


def _refused(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported", "{fault}", {"fault": message, "remedy": remedy})


Tags = Annotated[
    dict[str, JsonValue],
    AfterValidator(_tags),
    Field(description=f"an object of at most {MAX_TAGS} names with texts"),
]
Metadata = Annotated[
    dict[str, JsonValue],
    AfterValidator(_bounded),
    Field(description=f"a JSON object below {MAX_METADATA:,} characters"),
]


def annotations_of(
    sweep: str | None, tags: Mapping[str, JsonValue] | None, metadata: Mapping[str, JsonValue] | None
) -> Annotations | None:
    """The annotations of these values; None where all are absent or empty."""
    if not (sweep or tags or metadata):
        return None
    return Annotations(
        sweep=sweep, tags={name: str(text) for name, text in (tags or {}).items()}, metadata=metadata or {}
    )
