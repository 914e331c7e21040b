"""Expected number of arrivals of a renewal process whose hazard is constant in each bin of silence."""

from __future__ import annotations

from math import ceil, exp, log2

import numpy as np

from cosmos_batch.planning.prediction.silence import BIN_ENDS, Hazard, bin_of

_TERMS = 10  # of the series of a matrix exponential of norm 1/2 at most: exact to 1e-10


def expected_arrivals(hazard: Hazard, silence: float, seconds: float) -> float:
    """Return how many arrivals are expected in the next seconds, `silence` seconds after the last one.

    The bins of silence are states of a continuous-time Markov chain: an arrival leads to the first bin, the end of
    a bin to the next one. A bin of width w and hazard h is left for the next with rate h/(exp(h w) - 1), 1/w for
    h = 0, so that the probability to outlast the bin, exp(-h w), and the mean time in it are exact, but not the
    spread of that time. The number is the integral of the hazard over the chain's states, computed as a matrix
    exponential by scaling and squaring (Moler, Van Loan 2003, "Nineteen dubious ways to compute the exponential of
    a matrix", SIAM Review 45). It is exact for a Poisson process.
    """
    first = bin_of(silence)
    rates = [*hazard.rates, hazard.rates[first]]  # the last state is the rest of the present bin
    bins, here = len(hazard.rates), len(hazard.rates)
    widths = [end - start for start, end in zip((0.0, *BIN_ENDS), BIN_ENDS, strict=False)]
    widths.append(BIN_ENDS[first] - silence)
    chain = np.zeros((here + 2, here + 2))  # the last column counts arrivals
    for state, (rate, width) in enumerate(zip(rates, widths, strict=True)):
        following = first + 1 if state == here else state + 1
        leave = _leaving(rate, width) if following < bins else 0.0
        chain[state, 0] += rate
        chain[state, -1] = rate
        if leave:
            chain[state, following] += leave
        chain[state, state] -= rate + leave
    return float(_exponential(chain * seconds)[here, -1])


def _leaving(rate: float, width: float) -> float:
    """The rate at which a bin is outlasted."""
    if rate * width < 1e-9:
        return 1.0 / width
    return rate * exp(-rate * width) / (1.0 - exp(-rate * width))


def _exponential(matrix: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    norm = float(np.abs(matrix).sum(axis=1).max())
    halvings = max(0, ceil(log2(2 * norm))) if norm > 0 else 0
    part = matrix / 2.0**halvings
    term = found = np.eye(len(matrix))
    for power in range(1, _TERMS + 1):
        term = term @ part / power
        found = found + term
    for _ in range(halvings):
        found = found @ found
    return found
