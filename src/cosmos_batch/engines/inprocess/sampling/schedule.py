"""Schedules: noise levels, and the coefficients of the UniPC solver at each of them.

A sample x at noise level s is (1 - s) * clean + s * noise; the network predicts the velocity noise - clean.
UniPC (Zhao et al. 2023, arXiv 2302.04867), order 2, B(h) = expm1(h), predicting the clean sample, is linear in
what it remembers, so each step of a schedule is seven numbers; a batch whose samples stand at different steps of
different schedules gathers its rows of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

COLUMNS = (1, 1, 4, 3, 2)
"""How many columns of a schedule's table are what, in their order: the noise level; 1 at the first step, which has
nothing to correct, else 0; the corrector's coefficients of last sample, older clean, newer clean and this step's
clean; the predictor's of sample, this step's clean and the one before; and those of newer and older clean which
make this step's clean if it goes on as it went."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All steps of one run: noise levels and solver coefficients."""

    sigmas: Tensor  # [steps + 1] float64, falling, the last one 0
    table: Tensor  # [steps, the sum of COLUMNS] float32: what the solver computes a step with

    @property
    def steps(self) -> int:
        """Denoising steps."""
        return len(self.table)


def _half_log_snr(sigma: float) -> float:
    return math.log(1 - sigma) - math.log(sigma)


def _predict(sigmas: Sequence[float], step: int, order: int) -> tuple[float, float, float]:
    """Coefficients of (sample, clean, clean of the step before) for going from `step` to the next."""
    here, there = sigmas[step], sigmas[step + 1]
    if there == 0.0:  # the last step lands on the predicted clean sample
        return 0.0, 1.0, 0.0
    h = _half_log_snr(there) - _half_log_snr(here)
    growth = math.expm1(-h)
    sample, clean = there / here, -(1 - there) * growth
    if order == 1:
        return sample, clean, 0.0
    ratio = (_half_log_snr(sigmas[step - 1]) - _half_log_snr(here)) / h
    bend = -(1 - there) * growth * 0.5 / ratio
    return sample, clean - bend, bend


def _go_on(sigmas: Sequence[float], step: int) -> tuple[float, float]:
    """Coefficients of (clean one step back, two steps back) for the clean sample of `step`, on a straight line."""
    older, newer, here = (_half_log_snr(sigmas[place]) for place in (step - 2, step - 1, step))
    reach = (here - newer) / (newer - older)
    return 1 + reach, -reach


def is_estimated(step: int, steps: int) -> bool:
    """Whether step caching estimates a step: every second one after the first sixth and before the last two.

    The rule depends on the step alone, so a run's video does not depend on the other runs of its batch.
    """
    first = max(4, -(-steps // 6))
    return first < step < steps - 2 and (step - first) % 2 == 1


def _correct(sigmas: Sequence[float], step: int, order: int) -> tuple[float, float, float, float]:
    """Coefficients of (last sample, clean two steps back, clean one step back, clean now) for redoing a step."""
    here, there = sigmas[step - 1], sigmas[step]
    h = _half_log_snr(there) - _half_log_snr(here)
    growth = math.expm1(-h)
    sample, scale = there / here, -(1 - there) * growth
    if order == 1:
        return sample, 0.0, scale * 0.5, scale * 0.5
    ratio = (_half_log_snr(sigmas[step - 2]) - _half_log_snr(here)) / h
    # Solve [[1, 1], [ratio, 1]] (older, newer) = (b1, b2), the conditions of UniC of order 2
    first = growth / -h - 1
    second = first / -h - 0.5
    b1, b2 = first / growth, second * 2 / growth
    older = (b1 - b2) / (1 - ratio)
    newer = b1 - older
    return sample, scale * older / ratio, scale * (1 - older / ratio - newer), scale * newer


def schedule_of(sigmas: Sequence[float]) -> Schedule:
    """The schedule through these noise levels: falling, the first below 1, the last one 0."""
    steps = len(sigmas) - 1
    orders = [min(2, steps - step, step + 1) for step in range(steps)]
    predictor = [_predict(sigmas, step, orders[step]) for step in range(steps)]
    corrector = [(0.0, 0.0, 0.0, 0.0)]  # nothing to correct at the first step
    corrector += [_correct(sigmas, step, orders[step - 1]) for step in range(1, steps)]
    trend = [_go_on(sigmas, step) if step >= 2 else (0.0, 0.0) for step in range(steps)]
    rows = zip(sigmas[:-1], corrector, predictor, trend, strict=True)
    table = [
        (sigma, float(step == 0), *correct, *predict, *go_on)
        for step, (sigma, correct, predict, go_on) in enumerate(rows)
    ]
    return Schedule(torch.tensor(sigmas, dtype=torch.float64), torch.tensor(table, dtype=torch.float32))
