"""The day's curve: how the rate of arrivals differs by the hour of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosmos_batch.planning.prediction.silence import gamma_mean

HOURS, HOUR, DAY = 24, 3600.0, 86_400.0
LEAST_DAYS = 2.0  # of history, below which no hour of the day was seen twice
STRENGTH = 10.0  # arrivals that the belief in a flat day counts as, in each hour


@dataclass(frozen=True, slots=True)
class DayCurve:
    """Factors of the rate of arrivals, by hour of the day; their mean over the hours that were seen is about 1."""

    factors: tuple[float, ...] = (1.0,) * HOURS

    def at(self, now: float) -> float:
        """Return the factor at a time, in seconds since a midnight."""
        return self.factors[int(now % DAY // HOUR)]

    def mean(self, now: float, seconds: float) -> float:
        """Return the mean factor over the seconds from a time on."""
        shares = zip(self.factors, _seconds_by_hour(now, now + seconds), strict=True)
        return sum(factor * share for factor, share in shares) / seconds


def day_curve(moments: Iterable[float], since: float, until: float) -> DayCurve:
    """Learn the curve from the moments of all arrivals between two times, in seconds since a midnight.

    The arrivals of an hour of the day are Poisson with a factor times the mean rate; the factor's posterior mean
    is that of a Gamma prior of mean 1 (see `gamma_mean`). As bursts make counts differ more than a Poisson
    process does, counts are divided by their dispersion between days (quasi-likelihood, McCullagh, Nelder 1989,
    "Generalized Linear Models", section 6.2). Flat where there are less than two days.
    """
    if until - since < LEAST_DAYS * DAY:
        return DayCurve()
    days = int((until - since) // DAY) + 1
    by_day = [[0.0] * days for _ in range(HOURS)]
    for moment in moments:
        by_day[int(moment % DAY // HOUR)][min(days - 1, int((moment - since) // DAY))] += 1.0
    counts = [sum(each) for each in by_day]
    rate = sum(counts) / (until - since)
    if not rate:
        return DayCurve()
    spread = _dispersion([each[:-1] for each in by_day])  # of whole days
    expected = [rate * seconds / spread for seconds in _seconds_by_hour(since, until)]
    seen = [count / spread for count in counts]
    return DayCurve(tuple(gamma_mean(n, e, 1.0, STRENGTH) for n, e in zip(seen, expected, strict=True)))


def _dispersion(by_day: Sequence[Sequence[float]]) -> float:
    """The variance of an hour's counts from day to day over their mean; at least 1, that of a Poisson process."""
    squares, freedom = 0.0, 0
    for counts in by_day:
        mean = sum(counts) / len(counts)
        if mean:
            squares += sum((count - mean) ** 2 for count in counts) / mean
            freedom += len(counts) - 1
    return max(1.0, squares / freedom) if freedom else 1.0


def _seconds_by_hour(since: float, until: float) -> list[float]:
    """The seconds between two times that are in each hour of the day."""
    whole = int((until - since) // DAY)
    found = [whole * HOUR] * HOURS
    start = since + whole * DAY
    while start < until:
        stop = min(until, start - start % HOUR + HOUR)
        found[int(start % DAY // HOUR)] += stop - start
        start = stop
    return found
