"""Arrivals per kind of run, learnt online: how likely the next one is, and when."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Generic, TypeVar

from cosmos_batch.planning.prediction.day_curve import DayCurve, day_curve
from cosmos_batch.planning.prediction.silence import Exposure, Hazard, gamma_mean, parts

KindT = TypeVar("KindT", bound=Hashable)
STRENGTH = 0.2
"""Arrivals of a kind, in each bin of silence, that the pooled rate of all kinds counts as: five over all bins."""


SHORTEST = 1e-3
"""Seconds between two arrivals at least: those of one submission have the same time."""


@dataclass(slots=True)
class _Kind:
    """What was seen of a kind."""

    last: float  # when its latest run arrived
    seen: Exposure = field(default_factory=Exposure)


class ArrivalRates(Generic[KindT]):
    """Arrivals of runs by kind, as learnt so far.

    A kind's arrivals form a renewal process whose hazard depends on the silence since its last run, so that bursts
    have a high rate while they last, and a kind that was given up has a falling one. The rate of each bin of
    silence has a Gamma prior that is pooled over all kinds (empirical Bayes, Robbins 1956, "An empirical Bayes
    approach to statistics"): a kind with few runs is taken to be like the others. The day's curve, once there are
    days, is a factor of all rates.
    """

    def __init__(self, since: float) -> None:
        """`since`: seconds from when on arrivals are seen; the day's curve counts them from a midnight."""
        self.since = since
        self._kinds: dict[KindT, _Kind] = {}
        self._pooled = Exposure()
        self._pooled_rates: list[float] | None = None  # of the pooled exposure; None: to be computed
        self._curve = DayCurve()

    @property
    def kinds(self) -> list[KindT]:
        """The kinds that were seen, in the order of their first runs."""
        return list(self._kinds)

    def observe(self, kind: KindT, at: float) -> None:
        """Note that a run of a kind arrives. The times of a kind must not decrease.

        How long the silence before the first run of a kind was is not known, so that it counts for nothing.
        """
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = _Kind(at)
            return
        silence = max(SHORTEST, at - known.last)
        known.seen.add(silence)
        self._pooled.add(silence)
        self._pooled_rates = None
        known.last = at

    def follow_day(self, curve: DayCurve) -> None:
        """Multiply all rates by a curve from now on."""
        self._curve = curve

    def hazard(self, kind: KindT, now: float) -> Hazard:
        """Return the hazard of a kind, its present silence counted; of an unknown kind the pooled one."""
        if self._pooled_rates is None:
            self._pooled_rates = self._pooled.rates()
        pooled = self._pooled_rates
        known = self._kinds.get(kind)
        if known is None or not any(pooled):
            return Hazard(pooled)
        seconds = list(known.seen.seconds)
        for number, open_seconds in parts(0.0, self.silence(kind, now)):
            seconds[number] += open_seconds
        seen = zip(known.seen.arrivals, seconds, pooled, strict=True)
        return Hazard([gamma_mean(n, t, prior, STRENGTH) for n, t, prior in seen])

    def silence(self, kind: KindT, now: float) -> float:
        """Return the seconds since the last run of a kind; of unknown kinds since learning began."""
        known = self._kinds.get(kind)
        return max(0.0, now - (self.since if known is None else known.last))

    def rate(self, kind: KindT, now: float) -> float:
        """Return how many runs of a kind are expected per second, at this moment."""
        return self.hazard(kind, now).at(self.silence(kind, now)) * self._curve.at(now)

    def probability(self, kind: KindT, now: float, seconds: float) -> float:
        """Return the probability that a run of a kind arrives in the next seconds."""
        if seconds <= 0:
            return 0.0
        factor = self._curve.at(now)
        return 1.0 - exp(-factor * self.hazard(kind, now).cumulative(self.silence(kind, now), seconds))

    def next_in(self, kind: KindT, now: float) -> float:
        """Return the seconds in which the next run of a kind arrives as likely as not; infinite if it may not."""
        factor = self._curve.at(now)
        return self.hazard(kind, now).when(self.silence(kind, now), log(2.0) / factor) if factor else inf

    def expected(self, kind: KindT, now: float, seconds: float) -> float:
        """Return the expected number of runs of a kind in the next seconds; see `expected_arrivals`."""
        from cosmos_batch.planning.prediction.renewal import expected_arrivals  # needs numpy, which plans do not

        if seconds <= 0:
            return 0.0
        factor = self._curve.mean(now, seconds)
        hazard = Hazard([factor * rate for rate in self.hazard(kind, now).rates])
        found = expected_arrivals(hazard, self.silence(kind, now), seconds)
        return max(found, self.probability(kind, now, seconds))  # at least: the number is 1 or more as often


def learn(history: Iterable[tuple[float, KindT]], until: float | None = None) -> ArrivalRates[KindT]:
    """Learn from the arrivals of a history, each with its time in seconds and its kind, in any order.

    `until`: up to when the history is complete; None: up to its last arrival.
    """
    ordered = sorted(history, key=lambda arrival: arrival[0])
    since = ordered[0][0] if ordered else 0.0
    rates = ArrivalRates[KindT](since)
    for at, kind in ordered:
        rates.observe(kind, at)
    last = ordered[-1][0] if ordered else 0.0
    rates.follow_day(day_curve((at for at, _ in ordered), since, last if until is None else until))
    return rates
