"""The verdict on the attempts at a run."""

from __future__ import annotations

import pytest

from cosmos_batch.run import Acceptance
from cosmos_batch.scoring.acceptance import Tries, Try, read_tries

RULE = Acceptance(scores={"edge_f1": ">0.5", "judge": ">=8"}, attempts=3)


def tries(*scores: dict[str, float]) -> Tries:
    return Tries(RULE, tuple(Try(seed, each) for seed, each in enumerate(scores)))


def test_the_attempt_that_misses_fewest_conditions_is_the_best() -> None:
    made = tries({"edge_f1": 0.4, "judge": 7.9}, {"edge_f1": 0.6, "judge": 2.0})
    assert made.best == made.made[1]
    assert made.missed(made.made[1]) == ("judge is 2, not >=8",)
    assert not made.settled


def test_misses_count_as_shares_of_their_limits() -> None:
    made = tries({"edge_f1": 0.6, "judge": 7.0}, {"edge_f1": 0.4, "judge": 8.0})
    assert made.best == made.made[0]  # 1 of 8 is less than 0.1 of 0.5
    assert tries({"edge_f1": 0.4, "judge": 8.0}, {"edge_f1": 0.4, "judge": 8.0}).best == Try(
        0, {"edge_f1": 0.4, "judge": 8.0}
    )


def test_attempts_end_with_acceptance_or_without_any_left() -> None:
    good, bad = {"edge_f1": 0.6, "judge": 8.0}, {"edge_f1": 0.1, "judge": 8.0}
    assert tries(good).settled
    assert tries(good).accepted
    assert not tries(bad, bad).settled
    assert tries(bad, bad, bad).settled
    assert tries({"edge_f1": 0.6}).settled  # another seed does not give it a judge
    assert not tries(bad).plus(Try(1, {}, "blocked")).settled


def test_a_record_gives_the_attempts_back() -> None:
    made = tries({"edge_f1": 0.4, "judge": 7.0}).plus(Try(1, {}, "blocked"))
    assert read_tries(made.record) == made.made
    with pytest.raises(TypeError):
        read_tries({"tries": [{"seed": "x", "scores": {}}]})
