"""Names of scores: those that are measured here, and those of scorers that other packages install."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

DIRECTIONS: Mapping[str, bool] = {
    "edge_f1": True,
    "blur_ssim": True,
    "steadiness": True,
    "black": False,
    "frozen": False,
    "noise": False,
}
"""Scores of every video by name, in the order in which they are shown; whether more is better."""

ESTIMATED: Mapping[str, tuple[str, bool]] = {"depth": ("depth_rmse", False), "seg": ("mask_miou", True)}
"""Scores that models measure where they are asked for, by scorer: name, and whether more is better."""

LIMITS: Mapping[str, float] = {"black": 0.5, "frozen": 0.5, "noise": 0.5}
"""The score above which an output is flagged, by the name of score and flag: most frames are black, most pairs of
frames are equal, or pixels have less than half in common with their neighbours."""

SCORERS = "cosmos_batch.scorers"
"""The group of entry points by which packages install scorers."""


def own_scorers() -> Mapping[str, EntryPoint]:
    """The scorers that other packages have installed, by name."""
    return _installed(tuple(sys.path))


@lru_cache(maxsize=4)
def _installed(_path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The entry points of the packages on this path."""
    return {point.name: point for point in entry_points(group=SCORERS)}


def known_scores() -> tuple[str, ...]:
    """The names of scores, and of the scorers of this machine, which may give several: `judge_realism`."""
    return (*DIRECTIONS, *(name for name, _ in ESTIMATED.values()), *own_scorers())


def scorers_of(names: Iterable[str]) -> tuple[str, ...]:
    """The scorers that measure these scores, without those that every video gets."""
    own = own_scorers()
    wanted = [scorer for name in names for scorer, (score, _) in ESTIMATED.items() if name == score]
    wanted += [each for name in names for each in own if name == each or name.startswith(f"{each}_")]
    return tuple(dict.fromkeys(wanted))


def is_known(name: str, known: Collection[str]) -> bool:
    """Whether a name is that of a known score, or of a scorer that gives several: `judge_realism` of `judge`."""
    return name in known or any(name.startswith(f"{each}_") for each in known if each not in DIRECTIONS)
