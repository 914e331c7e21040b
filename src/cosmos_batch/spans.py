"""Spans of videos: a part of a longer video, named behind its path: `a.mp4#frames=100+50` or `a.mp4#t=4,6.5`.

A run names such a part wherever it names a video. The text is the path to all code that does not open the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.addresses import copy_of

_FRAMES = r"frames=(?P<start>[0-9]{1,12})\+(?P<count>[1-9][0-9]{0,11})?"
_SECONDS = r"t=(?P<begin>[0-9]{1,9}(?:\.[0-9]{1,18})?)(?:,(?P<end>[0-9]{1,9}(?:\.[0-9]{1,18})?))?"
_SPANNED = re.compile(rf"(?P<file>.+)#(?:{_FRAMES}|{_SECONDS})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, in frames or in seconds, from its first frame on."""

    start: float  # the first frame, counted from 0, or seconds
    length: float | None  # frames or seconds; None: to the end
    in_seconds: bool = False

    @property
    def text(self) -> str:
        """The span as it stands behind a path. Seconds are those of a media fragment (W3C): begin and end."""
        if not self.in_seconds:
            return f"#frames={self.start:.0f}+" + ("" if self.length is None else f"{self.length:.0f}")
        end = "" if self.length is None else f",{_plain(self.start + self.length)}"
        return f"#t={_plain(self.start)}{end}"

    @property
    def facts(self) -> dict[str, float]:
        """The span as an object of a native run has it."""
        unit = ("start_seconds", "seconds") if self.in_seconds else ("start", "frames")
        values = zip(unit, (self.start, self.length), strict=True)
        return {name: value for name, value in values if value is not None}


def _plain(seconds: float) -> str:
    """Seconds without an exponent, to the nanosecond."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def split_span(video: str) -> tuple[str, Span | None]:
    """The path of the file, and the span behind it; None where the whole file is meant."""
    found = _SPANNED.fullmatch(video) if "#" in video else None
    if found is None:
        return video, None
    if found["start"] is not None:
        return found["file"], Span(int(found["start"]), int(found["count"]) if found["count"] else None)
    begin = float(found["begin"])
    length = None if found["end"] is None else round(float(found["end"]) - begin, 9)
    return found["file"], Span(begin, length, in_seconds=True)


def file_of(video: str | Path) -> Path:
    """The file that holds a video, or the span of one; of an address, its copy on this machine."""
    path = split_span(str(video))[0]
    return copy_of(path) or Path(path)


def file_or_span(video: str) -> Path:
    """The file of a video as `file_of` gives it; the path of a span with the span behind it."""
    return Path(video) if has_span(video) else file_of(video)


def with_file(video: str, rename: Callable[[str], str]) -> str:
    """The video with the path of its file replaced by what `rename` gives for it, and its span as it is."""
    path = split_span(video)[0]
    return rename(path) + video[len(path) :]


def has_span(video: str | Path) -> bool:
    """Whether a path names a span of a video."""
    return split_span(str(video))[1] is not None
