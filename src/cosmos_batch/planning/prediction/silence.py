"""Hazard of the next arrival by the silence since the last one: a rate for each bin of silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

_MINUTE, _HOUR = 60.0, 3600.0
BIN_ENDS = (
    *(0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0),
    *(minutes * _MINUTE for minutes in (1, 1.5, 2, 3, 4, 6, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 3, 6, 12, 24)),
    inf,
)
"""Ends of the bins of silence, seconds: fine where batching decides, coarse where only rates are shown."""
_STRENGTH = 0.2  # arrivals that the rate over all bins counts as in each


def bin_of(silence: float) -> int:
    """Return the bin that a silence of so many seconds is in."""
    return next(number for number, end in enumerate(BIN_ENDS) if silence < end)


def parts(start: float, stop: float) -> Iterator[tuple[int, float]]:
    """Yield the bins between two silences, each with its seconds between them."""
    low = 0.0
    for number, end in enumerate(BIN_ENDS):
        seconds = min(stop, end) - max(start, low)
        if seconds > 0:
            yield number, seconds
        if end >= stop:
            return
        low = end


def _zeros() -> list[float]:
    return [0.0] * len(BIN_ENDS)


@dataclass(slots=True)
class Exposure:
    """Arrivals and seconds of silence, by bin of silence."""

    arrivals: list[float] = field(default_factory=_zeros)
    seconds: list[float] = field(default_factory=_zeros)

    def add(self, silence: float) -> None:
        """Count an arrival after a silence of so many seconds."""
        for number, seconds in parts(0.0, silence):
            self.seconds[number] += seconds
        self.arrivals[bin_of(silence)] += 1.0

    def rates(self) -> list[float]:
        """Return the arrivals per second of each bin; where little was seen, close to that of all bins."""
        total = sum(self.seconds)
        mean = sum(self.arrivals) / total if total else 0.0
        if not mean:
            return _zeros()
        return [gamma_mean(n, t, mean, _STRENGTH) for n, t in zip(self.arrivals, self.seconds, strict=True)]


def gamma_mean(arrivals: float, seconds: float, prior: float, strength: float) -> float:
    """Mean of the rate of a Poisson process after so many arrivals in so many seconds.

    The prior is a Gamma distribution of mean `prior` (arrivals per second, above 0) that counts as much as
    `strength` arrivals: the conjugate one (Gelman et al. 2013, "Bayesian Data Analysis", section 2.6).
    """
    return (strength + arrivals) / (strength / prior + seconds)


@dataclass(frozen=True, slots=True)
class Hazard:
    """Arrivals per second by bin of silence: a piecewise constant hazard.

    Such a hazard makes the times between arrivals piecewise exponential (Friedman 1982, "Piecewise exponential
    models for survival data with covariates", Annals of Statistics 10).
    """

    rates: Sequence[float]  # of each bin of `BIN_ENDS`, arrivals per second

    def at(self, silence: float) -> float:
        """Return the arrivals per second after a silence of so many seconds."""
        return self.rates[bin_of(silence)]

    def cumulative(self, silence: float, seconds: float) -> float:
        """Return the integral of the hazard over the next seconds; exp of its negative is their chance of none."""
        if seconds == inf:
            return inf if self.rates[-1] > 0 else sum(self.rates[n] * t for n, t in parts(silence, 1e12))
        return sum(self.rates[number] * each for number, each in parts(silence, silence + seconds))

    def when(self, silence: float, cumulative: float) -> float:
        """Return the seconds until the integral of the hazard has that value; infinite if never."""
        passed = 0.0
        start = silence
        for number in range(bin_of(silence), len(BIN_ENDS)):
            rate, width = self.rates[number], BIN_ENDS[number] - start
            if rate * width >= cumulative and rate > 0:
                return passed + cumulative / rate
            cumulative -= rate * width if rate > 0 else 0.0
            passed += width
            start = BIN_ENDS[number]
        return inf
