"""An input of a native run: a path, or an object that names a span of a video."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from cosmos_batch.formats.common import PathText, StrictModel
from cosmos_batch.formats.guided import LABELS_SUFFIX, is_label_file
from cosmos_batch.spans import Span, split_span

_MOST_SECONDS = 10**8


class _SpanInput(StrictModel):
    path: PathText
    start: Annotated[int, Field(ge=0, lt=10**12)] | None = None
    frames: Annotated[int, Field(ge=1, lt=10**12)] | None = None
    start_seconds: Annotated[float, Field(ge=0, le=_MOST_SECONDS, allow_inf_nan=False)] | None = None
    seconds: Annotated[float, Field(gt=0, le=_MOST_SECONDS, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> _SpanInput:
        by_frames = self.start is not None or self.frames is not None
        by_seconds = self.start_seconds is not None or self.seconds is not None
        if by_frames and by_seconds:
            raise _unsupported(
                "is given in frames and in seconds", "keep start and frames, or start_seconds and seconds"
            )
        if (by_frames or by_seconds) and split_span(self.path)[1] is not None:
            raise _unsupported("has a span in its path and beside it", "keep one of the two")
        return self

    @property
    def text(self) -> str:
        """The path with the span behind it."""
        if self.start_seconds is not None or self.seconds is not None:
            return self.path + Span(self.start_seconds or 0.0, self.seconds, in_seconds=True).text
        if self.start is not None or self.frames is not None:
            return self.path + Span(self.start or 0, self.frames).text
        return self.path


def _unsupported(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported", message, {"remedy": remedy})


def input_text(value: object) -> object:
    """An input as text, where it is an object that names a span; any other value as it is.

    Raises ValidationError for an object that names none.
    """
    return _SpanInput.model_validate(value).text if isinstance(value, dict) else value


def located_input(value: object) -> object:
    """An input as `input_text` gives it; an object that names no span as it is."""
    try:
        return input_text(value)
    except ValidationError:
        return value


def _checked(value: object) -> object:
    text = input_text(value)
    if isinstance(text, str) and "#" in text:
        path, span = split_span(text)
        if span is not None and is_label_file(path):
            raise _unsupported(
                "names a span of a file of labels", f"cut the labels; {LABELS_SUFFIX} files have no spans"
            )
        if span is not None and span.length is not None and span.length <= 0:
            raise _unsupported("names a span that ends before it begins", "let it end after it begins")
    return text


def _schema() -> dict[str, Any]:
    """The schema of a path, with the fields of the object that may stand for it."""
    fields = _SpanInput.model_json_schema()["properties"]
    described = "a path, as text, or an object with path and start and frames, or start_seconds and seconds"
    return {"type": ["string", "object"], "description": described, "properties": fields}


InputText = Annotated[PathText, BeforeValidator(_checked), WithJsonSchema(_schema())]
"""A path, with the span behind it where only a part of the video is meant."""
