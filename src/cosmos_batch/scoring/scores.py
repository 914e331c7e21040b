"""Scores of an output as values, and the flags that they raise. This module imports no decoder."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from cosmos_batch.score_names import LIMITS


@dataclass(frozen=True, slots=True)
class VideoScores:
    """The scores of a video, and what they cost."""

    values: Mapping[str, float] = field(default_factory=dict)  # by name; without what the run gives no means for
    frames: int = 0  # of which edges and noise were measured
    seconds: float = 0.0  # that scoring took
    problem: str = ""  # why there are none; "": there are
    warnings: tuple[str, ...] = ()  # what scorers could not measure, each with the scorer's name and the reason


_CONDITION = re.compile(r"([a-z][a-z0-9_]{0,63})\s*(>=|<=|>|<)\s*(\S+)")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class ScoreCondition:
    """A condition on one score: `edge_f1 > 0.5`. A video without the score does not meet it."""

    name: str
    relation: str  # >, >=, < or <=
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a condition such as "edge_f1>0.5". Raises ValueError, with what was found and what would do."""
        found = _CONDITION.fullmatch(text.strip())
        try:
            limit = float(found[3]) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or not math.isfinite(limit):
            raise ValueError(f"{text[:60]!r} is no condition on a score; write one like 'edge_f1>0.5'")
        return cls(found[1], found[2], limit)

    @property
    def compare(self) -> Callable[[float, float], bool]:
        """The relation as a function of a score and the limit; the score may be a column of a query."""
        return _OPERATORS[self.relation]


def flags_of(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Names of the flags that scores raise: black, frozen, noise."""
    return tuple(name for name, limit in LIMITS.items() if scores.get(name, 0.0) > limit)
