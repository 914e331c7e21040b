"""Noise levels of Transfer2.5, as its diffusers scheduler computes them."""

from __future__ import annotations

from functools import lru_cache

from cosmos_batch.engines.inprocess.sampling.schedule import Schedule, schedule_of
from cosmos_batch.engines.inprocess.transfer25.published import SIGMA_MIN

SIGMA_MAX = 200.0
"""Upper end of the published checkpoint's schedule, before the change to flow sigmas s / (1 + s)."""

_RHO = 7.0  # Karras et al. 2022 (arXiv 2206.00364), equation 5


def flow_sigmas(steps: int, sigma_max: float = SIGMA_MAX) -> list[float]:
    """Karras-spaced noise levels from `sigma_max` to SIGMA_MIN as flow sigmas, and a final 0."""
    low, high = SIGMA_MIN ** (1 / _RHO), max(sigma_max, SIGMA_MIN) ** (1 / _RHO)
    ramp = [i / max(steps - 1, 1) for i in range(steps)]
    levels = [(high + part * (low - high)) ** _RHO for part in ramp]
    return [level / (level + 1) for level in levels] + [0.0]


@lru_cache(maxsize=256)
def make_schedule(steps: int, sigma_max: float = SIGMA_MAX) -> Schedule:
    """The schedule of a run of `steps` denoising steps that starts at `sigma_max`."""
    return schedule_of(flow_sigmas(steps, sigma_max))
