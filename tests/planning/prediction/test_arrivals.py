"""Rates of arrivals are recovered from arrivals that were generated with them."""

from __future__ import annotations

from itertools import accumulate
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.planning.prediction.arrivals import ArrivalRates, learn
from cosmos_batch.planning.prediction.day_curve import DAY, HOUR, DayCurve, day_curve

DAYS_OF_ARRIVALS = st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from("abc")), max_size=30)


def poisson(dice: Random, rate: float, seconds: float) -> list[float]:
    """The moments of a Poisson process."""
    found, at = [], dice.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += dice.expovariate(rate)
    return found


@pytest.mark.parametrize("gap", [20.0, 200.0])
def test_the_rate_of_a_steady_stream_is_recovered(gap: float) -> None:
    moments = poisson(Random(1), 1 / gap, 3000 * gap)
    rates = learn((at, "edge") for at in moments)
    now = moments[-1] + gap / 2
    assert rates.expected("edge", now, 50 * gap) == pytest.approx(50, rel=0.1)
    assert rates.probability("edge", now, gap) == pytest.approx(0.632, abs=0.05)
    assert rates.next_in("edge", now) == pytest.approx(0.693 * gap, rel=0.15)


def test_a_burst_has_a_high_rate_while_it_lasts_and_a_low_one_afterwards() -> None:
    dice = Random(2)
    bursts = poisson(dice, 1 / 2000, 2e6)
    moments = sorted(
        start + gap for start in bursts for gap in accumulate(dice.expovariate(0.2) for _ in range(5))
    )
    rates = learn((at, "edge") for at in moments)
    last = moments[-1]
    assert rates.rate("edge", last + 5) > 50 * rates.rate("edge", last + 100)
    # 5 runs in 2000 s, whatever the moment: over a long time the mean of all gaps counts
    assert rates.expected("edge", last + 400, 40_000) == pytest.approx(100, rel=0.15)


def test_the_rate_of_a_kind_that_was_given_up_falls() -> None:
    rates = learn([*((10.0 * n, "edge") for n in range(100)), *((3000.0 + 10.0 * n, "vis") for n in range(200))])
    soon, late, later = (rates.expected("edge", 990.0 + silence, 600) for silence in (20, 300, 4000))
    assert soon > late > later


def test_a_kind_with_few_runs_is_taken_to_be_like_the_others() -> None:
    moments = poisson(Random(4), 1 / 30, 30_000)
    rates = learn([*((at, "edge") for at in moments), (moments[-1], "vis")])
    now = moments[-1] + 5
    assert rates.rate("vis", now) == pytest.approx(rates.rate("edge", now), rel=0.5)
    assert rates.rate("unknown", now) > 0


def test_nothing_is_expected_where_nothing_was_seen() -> None:
    rates = ArrivalRates[str](0.0)
    assert (rates.rate("edge", 5), rates.probability("edge", 5, 60), rates.next_in("edge", 5)) == (0, 0, inf)
    assert rates.expected("edge", 5, 3600) == 0


@given(history=DAYS_OF_ARRIVALS, kind=st.sampled_from("abcd"), silence=st.floats(0, 1e5))
def test_probabilities_are_some_and_grow_with_the_time_that_is_looked_at(
    history: list[tuple[float, str]], kind: str, silence: float
) -> None:
    rates = learn(history)
    now = max((at for at, _ in history), default=0.0) + silence
    found = [rates.probability(kind, now, seconds) for seconds in (0, 1, 60, 3600, 1e6)]
    expected = [rates.expected(kind, now, seconds) for seconds in (0, 1, 60, 3600, 1e6)]
    assert found == sorted(found)
    assert all(0 <= each <= 1 for each in found)
    assert expected == sorted(expected)
    # At least one arrival is expected at least as often as there is one (Markov's inequality)
    assert all(number >= chance - 1e-6 for number, chance in zip(expected, found, strict=True))


def test_the_curve_of_a_day_is_learnt_from_days_and_not_from_hours() -> None:
    dice = Random(3)
    moments = [at for at in poisson(dice, 1 / 60, 10 * DAY) if 8 <= at % DAY / HOUR < 18 or dice.random() < 0.1]
    curve = day_curve(moments, 0.0, 10 * DAY)
    assert curve.at(9 * HOUR) > 8 * curve.at(3 * HOUR)
    assert sum(curve.factors) / 24 == pytest.approx(1, rel=0.05)
    assert day_curve(moments[:500], 0.0, 1.9 * DAY) == DayCurve()
    rates = learn((at, "edge") for at in moments)
    assert rates.expected("edge", 10 * DAY + 9 * HOUR, HOUR) > 5 * rates.expected("edge", 11 * DAY, HOUR)
