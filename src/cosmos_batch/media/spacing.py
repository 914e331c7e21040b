"""Intervals between the frames of a video: even, or of a variable rate, or with a gap."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import NamedTuple

_TOLERANCE = 0.1  # of the usual interval
_ROUNDING = 0.002  # seconds; Matroska rounds times to milliseconds


class Intervals(NamedTuple):
    """Seconds between two frames of an uneven video."""

    shortest: float
    usual: float  # the median
    longest: float


def uneven_intervals(times: Sequence[int | None], unit: Fraction | None) -> Intervals | None:
    """The intervals between frames that are shown at these times, in units of so many seconds.

    None where they are equal but for rounding, or where the time of a frame is unknown.
    """
    known = sorted(time for time in times if time is not None)
    if unit is None or len(known) < max(2, len(times)):
        return None
    seconds = [float((after - before) * unit) for before, after in pairwise(known)]
    found = Intervals(min(seconds), median(seconds), max(seconds))
    tolerance = max(_TOLERANCE * found.usual, _ROUNDING)
    even = max(found.usual - found.shortest, found.longest - found.usual) <= tolerance
    return None if even else Intervals(*(round(each, 6) for each in found))
