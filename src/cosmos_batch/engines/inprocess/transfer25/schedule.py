"""Noise levels of Transfer2.5, as its diffusers scheduler computes them, and those of the distilled model."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch

from cosmos_batch.engines.inprocess.model_settings import DISTILLED_STEPS
from cosmos_batch.engines.inprocess.sampling.schedule import COLUMNS, Schedule, schedule_of
from cosmos_batch.engines.inprocess.transfer25.published import SIGMA_MIN

SIGMA_MAX = 200.0
"""Upper end of the published checkpoint's schedule, before the change to flow sigmas s / (1 + s)."""

DISTILLED_SIGMAS = (1.0, 15 / 16, 5 / 6, 5 / 8)
"""Noise levels of the distilled model's steps.

cosmos-transfer2.5 trains it at the angles pi/2, atan 15, atan 5 and atan 5/3 (_src/interactive/methods, DMD2),
which as flow sigmas are sin / (sin + cos) = tan / (1 + tan).
"""

_NO_CORRECTION, _NO_TREND = (0.0,) * COLUMNS[2], (0.0,) * COLUMNS[4]
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


@lru_cache(maxsize=DISTILLED_STEPS)
def distilled_schedule(steps: int) -> Schedule:
    """The schedule of a run of the distilled model, of 1 to 4 steps.

    A step predicts the clean sample, and the next one starts from it with the run's first noise again. That noise
    is what the sample holds beside the clean sample of the step before, so a row of the table says it all, and
    there is nothing to correct. Raises ValueError for another number of steps.
    """
    if not 1 <= steps <= DISTILLED_STEPS:
        raise ValueError(f"{steps} steps: the distilled model takes 1 to {DISTILLED_STEPS}")
    sigmas = (*DISTILLED_SIGMAS[:steps], 0.0)
    table = [_transition(here, there) for here, there in pairwise(sigmas)]
    return Schedule(torch.tensor(sigmas, dtype=torch.float64), torch.tensor(table, dtype=torch.float32))


def _transition(here: float, there: float) -> tuple[float, ...]:
    """A row of `sampling.schedule.COLUMNS`: from a noise level to the next with the same noise."""
    kept = there / here
    predictor = (kept, 1 - there, -kept * (1 - here)) if there else (0.0, 1.0, 0.0)
    return (here, 1.0, *_NO_CORRECTION, *predictor, *_NO_TREND)
