"""Scores of an output as values, and the flags that they raise. This module imports no decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class VideoScores:
    """The scores of a video, and what they cost."""

    values: Mapping[str, float] = field(default_factory=dict)  # by name; without what the run gives no means for
    frames: int = 0  # of which edges and noise were measured
    seconds: float = 0.0  # that scoring took
    problem: str = ""  # why there are none; "": there are


LIMITS: Mapping[str, float] = {"black": 0.5, "frozen": 0.5, "noise": 0.5}
"""The score above which an output is flagged, by the name of score and flag: most frames are black, most pairs of
frames are equal, or pixels have less than half in common with their neighbours."""

DIRECTIONS: Mapping[str, bool] = {
    "edge_f1": True,
    "blur_ssim": True,
    "steadiness": True,
    "black": False,
    "frozen": False,
    "noise": False,
}
"""Scores by name, in the order in which they are shown; whether more is better."""


def flags_of(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Names of the flags that scores raise: black, frozen, noise."""
    return tuple(name for name, limit in LIMITS.items() if scores.get(name, 0.0) > limit)
