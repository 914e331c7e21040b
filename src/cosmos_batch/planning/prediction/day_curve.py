"""The day's curve: how the rate of arrivals differs by the hour of the day."""

from __future__ import annotations

from collections.abc import Iterable
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


def day_curve(moments: Iterable[float], since: float, until: float) -> DayCurve:
    """Learn the curve from the moments of all arrivals between two times, in seconds since a midnight.

    The arrivals of an hour of the day are Poisson with a factor times the mean rate; the factor's posterior mean
    is that of a Gamma prior of mean 1 (see `gamma_mean`). Flat where there are less than two days.
    """
    if until - since < LEAST_DAYS * DAY:
        return DayCurve()
    counts = [0.0] * HOURS
    for moment in moments:
        counts[int(moment % DAY // HOUR)] += 1.0
    rate = sum(counts) / (until - since)
    if not rate:
        return DayCurve()
    expected = [rate * seconds for seconds in _seconds_by_hour(since, until)]
    return DayCurve(tuple(gamma_mean(n, e, 1.0, STRENGTH) for n, e in zip(counts, expected, strict=True)))


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
