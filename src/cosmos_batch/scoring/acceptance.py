"""The verdict on a run whose video has to reach scores: its best attempt, and whether another one is made.

This module imports no decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cosmos_batch.run import Acceptance
from cosmos_batch.scoring.scores import ScoreCondition


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at a run whose video has to reach scores."""

    seed: int
    scores: Mapping[str, float]  # by name; empty: it gave no video, or its scores are not known
    fault: str = ""  # why it gave no video; "": it did


@dataclass(frozen=True, slots=True)
class Tries:
    """The attempts at a run so far, judged by its rule."""

    rule: Acceptance
    made: tuple[Try, ...] = ()

    def plus(self, another: Try) -> Tries:
        """The attempts with one more."""
        return Tries(self.rule, (*self.made, another))

    @property
    def best(self) -> Try | None:
        """The attempt whose video is the best: it misses fewest conditions, then by least; None: no video.

        A miss is measured as a share of the limit, so that scores of any range count alike; of equal attempts the
        first is the best.
        """
        videos = [each for each in self.made if not each.fault]
        return min(videos, key=self._shortfall, default=None)

    @property
    def accepted(self) -> bool:
        """Whether the best attempt meets every condition."""
        best = self.best
        return best is not None and not self.missed(best)

    @property
    def settled(self) -> bool:
        """Whether no other attempt is made.

        One is accepted, none is left, or a score was not measured, which another seed does not change.
        """
        unmeasured = any(not each.fault and self._unmeasured(each) for each in self.made)
        return self.accepted or unmeasured or len(self.made) >= self.rule.attempts

    @property
    def conditions(self) -> tuple[ScoreCondition, ...]:
        """The conditions of the rule."""
        return tuple(ScoreCondition.parse(f"{name}{text}") for name, text in self.rule.scores.items())

    def missed(self, attempt: Try) -> tuple[str, ...]:
        """The conditions that an attempt does not meet, in words: "edge_f1 is 0.41, not >0.5"."""
        return tuple(
            _in_words(attempt.scores.get(condition.name), condition)
            for condition in self.conditions
            if not _meets(attempt.scores.get(condition.name), condition)
        )

    @property
    def verdict(self) -> str:
        """How the run stands, in words; "" where the first attempt is accepted."""
        best, count = self.best, len(self.made)
        if best is None or (self.accepted and count == 1):
            return ""
        of = f"seed {best.seed}, the best of {count} attempts" if count > 1 else "the only attempt"
        return (
            f"accepted: seed {best.seed}, attempt {count}"
            if self.accepted
            else f"not accepted: {self._why} ({of})"
        )

    @property
    def _why(self) -> str:
        return ", ".join(self.missed(self.best)) if self.best else ""

    @property
    def record(self) -> dict[str, object]:
        """The attempts and the verdict as JSON."""
        best = self.best
        return {
            "accept": dict(self.rule.scores),
            "attempts": self.rule.attempts,
            "accepted": self.accepted,
            "seed": None if best is None else best.seed,
            "missed": [] if best is None else list(self.missed(best)),
            "tries": [{"seed": each.seed, "scores": dict(each.scores), "fault": each.fault} for each in self.made],
        }

    def _shortfall(self, attempt: Try) -> tuple[int, float]:
        missed = [each for each in self.conditions if not _meets(attempt.scores.get(each.name), each)]
        return len(missed), sum(_distance(attempt.scores.get(each.name), each) for each in missed)

    def _unmeasured(self, attempt: Try) -> bool:
        return any(condition.name not in attempt.scores for condition in self.conditions)


def read_tries(record: Mapping[str, object]) -> tuple[Try, ...]:
    """The attempts of a `record`. Raises ValueError, TypeError and KeyError where it is none."""
    made = record["tries"]
    if not isinstance(made, list):
        raise TypeError("tries are no list")
    return tuple(_read(each) for each in made)


def _read(value: Mapping[str, object]) -> Try:
    seed, scores = value["seed"], value["scores"]
    if not isinstance(seed, int) or not isinstance(scores, Mapping):
        raise TypeError("a try has no seed or no scores")
    return Try(seed, {str(name): float(score) for name, score in scores.items()}, str(value.get("fault", "")))


def _meets(score: float | None, condition: ScoreCondition) -> bool:
    return score is not None and condition.compare(score, condition.limit)


def _distance(score: float | None, condition: ScoreCondition) -> float:
    if score is None:
        return float("inf")
    return abs(score - condition.limit) / (abs(condition.limit) or 1.0)


def _in_words(score: float | None, condition: ScoreCondition) -> str:
    wanted = f"{condition.relation}{condition.limit:g}"
    if score is None:
        return f"{condition.name} was not measured"
    return f"{condition.name} is {score:g}, not {wanted}"
