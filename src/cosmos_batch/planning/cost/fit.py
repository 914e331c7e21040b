"""Learning a cost model from what finished.

Least squares on the relative error, coefficients never negative, with a ridge towards the prior after that has
been rescaled to the measurements' median ratio: with few measurements the fitted model is the prior made faster or
slower, with many it is what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.planning.cost.model import CostModel, Measurement

Array = NDArray[np.float64]

_RIDGE = 0.1  # a coefficient at twice its prior weighs as much as ten measurements that are 10 % off
_LIGHT_RIDGE = 1e-5  # measurements on purpose are exact to a few percent and tell the coefficients apart
_WINDOW = 100  # past predictions that the stated error looks back on

# Coefficients of the cost model, each with the feature that it multiplies ("" is the constant 1)
_BATCH = {
    "batch": "",
    "step": "steps",
    "token": "token_steps",
    "control": "control_steps",
    "attention": "attention_steps",
    "pixel": "pixels",
    "control_pixel": "control_pixels",
}
_LAUNCH = {"load": "", "load_branch": "branches"}
_BYTES = {"model_bytes": "", "branch_bytes": "branches", "token_bytes": "tokens", "row_bytes": "rows"}


def fit(measurements: Sequence[Measurement], prior: CostModel) -> CostModel:
    """The prior, brought nearer to what was measured on its engine and device; other measurements are left out.

    A coefficient that the prior holds at zero stays zero. Processes' first batches, which take longer, count where
    there are no others. The stated error is prequential: the median of |predicted - measured| / measured over the
    last 100 batches, each against what the model of its time had predicted before it ran.
    """
    own = [m for m in measurements if (m.engine, m.device) == (prior.engine, prior.device) and m.seconds > 0]
    batches = [m for m in own if m.kind == "batch"]
    batches = [m for m in batches if not m.first] or batches
    launches = [m for m in own if m.kind == "launch"]
    weighed = [m for m in batches if m.bytes]
    fitted: dict[str, Any] = {
        **_coefficients(_BATCH, batches, [m.seconds for m in batches], prior),
        **_coefficients(_LAUNCH, launches, [m.seconds for m in launches], prior),
        **_coefficients(_BYTES, weighed, [float(m.bytes or 0) for m in weighed], prior),
    }
    return replace(
        prior, **fitted, measured=prior.measured + len(batches), error=past_error(batches) or prior.error
    )


def calibrated(steps: Sequence[Measurement], coding: Sequence[Measurement], prior: CostModel) -> CostModel:
    """The prior with what was measured on purpose: denoising steps alone, and encoding and decoding alone.

    What neither tells, model loads and the fixed time of a batch, stays the prior's. The stated error is the
    median of |fitted - measured| / measured over the steps.
    """
    stepping = {name: _BATCH[name] for name in ("step", "token", "control", "attention")}
    coded = {name: _BATCH[name] for name in ("pixel", "control_pixel")}
    weighed = [m for m in steps if m.bytes]
    fitted: dict[str, Any] = {
        **_coefficients(stepping, steps, [m.seconds for m in steps], prior, _LIGHT_RIDGE),
        **_coefficients(coded, coding, [m.seconds for m in coding], prior, _LIGHT_RIDGE),
        **_coefficients(_BYTES, weighed, [float(m.bytes or 0) for m in weighed], prior, _LIGHT_RIDGE),
    }
    model = replace(prior, **fitted, measured=len(steps), knee_tokens=knee(steps) or prior.knee_tokens)
    model = replace(model, coding_bytes=_coding_bytes(coding, model))
    wrong = [abs(model.batch_seconds(m) - model.batch - m.seconds) / m.seconds for m in steps]
    return replace(model, error=median(wrong) if wrong else prior.error)


def _coding_bytes(coding: Sequence[Measurement], model: CostModel) -> float:
    """What coding the largest video held beside the weights. Small ones are coded in larger groups."""
    weighed = [m for m in coding if m.bytes and m.frame]
    if not weighed:
        return model.coding_bytes
    largest = max(weighed, key=lambda m: m.frame)
    return max(0.0, ((largest.bytes or 0) - model.peak_bytes(0, largest.branches)) / model.coded(largest.frame))


_NEAR = 1.05  # a batch this near to the best per run is as good, and smaller ones come out sooner


def knee(steps: Sequence[Measurement]) -> int | None:
    """Tokens of the smallest forward pass after which nothing more is gained; None: no two batches tell.

    Measured on the smallest runs of which batches of several sizes were measured, with equal controls.
    """
    groups: dict[tuple[int, float], list[tuple[int, float]]] = {}
    for m in steps:
        alike = (m.tokens // m.runs, m.control_steps / m.token_steps)
        groups.setdefault(alike, []).append((m.tokens, m.seconds / m.steps / m.runs))
    telling = [key for key, group in groups.items() if len({tokens for tokens, _ in group}) > 1]
    if not telling:
        return None
    group = sorted(groups[min(telling)])
    best = min(seconds for _, seconds in group)
    return next(tokens for tokens, seconds in group if seconds <= _NEAR * best)


def past_error(measurements: Sequence[Measurement]) -> float | None:
    """Median |predicted - measured| / measured over the last 100 that were predicted; None if none was."""
    asked = [(m.predicted_seconds, m.seconds) for m in measurements if m.predicted_seconds is not None]
    if not asked:
        return None
    return median(abs(predicted - seconds) / seconds for predicted, seconds in asked[-_WINDOW:])


def _coefficients(
    named: dict[str, str],
    measured: Sequence[Measurement],
    outcome: Sequence[float],
    prior: CostModel,
    ridge: float = _RIDGE,
) -> dict[str, float]:
    if not measured:
        return {}
    before = np.array([getattr(prior, name) for name in named], dtype=np.float64)
    rows = [[float(getattr(m, column)) if column else 1.0 for column in named.values()] for m in measured]
    relative = np.array(rows) * before / np.array(outcome)[:, None]
    predicted = relative.sum(axis=1)
    scale = 1 / float(np.median(predicted)) if np.median(predicted) > 0 else 1.0
    factors = nonnegative_ridge(relative * scale, np.ones(len(rows)), np.ones(len(before)), ridge)
    return dict(zip(named, (before * scale * factors).tolist(), strict=True))


def nonnegative_ridge(matrix: Array, target: Array, anchor: Array, ridge: float) -> Array:
    """The x >= 0 that minimises |matrix x - target|^2 + ridge |x - anchor|^2.

    `matrix` is [rows, n], `target` [rows], `anchor` [n]; `ridge` must be positive. Active-set method of Lawson
    and Hanson (Solving Least Squares Problems, 1974, chapter 23) on the normal equations.
    """
    n = len(anchor)
    square = matrix.T @ matrix + ridge * np.eye(n)
    right = matrix.T @ target + ridge * anchor
    x, free = np.zeros(n), np.zeros(n, dtype=bool)
    tolerance = 1e-12 * float(np.abs(right).max(initial=1.0))
    for _ in range(3 * n):
        gradient = np.where(free, -np.inf, right - square @ x)
        if gradient.max() <= tolerance:
            break
        free[gradient.argmax()] = True
        x = _settle(square, right, x, free)
    return x


def _settle(square: Array, right: Array, x: Array, free: NDArray[np.bool_]) -> Array:
    """Solve for the free unknowns, fixing at zero those that would turn negative on the way."""
    while True:
        solution = np.zeros_like(x)
        solution[free] = np.linalg.solve(square[np.ix_(free, free)], right[free])
        negative = free & (solution <= 0)
        if not negative.any():
            return solution
        reach = float(np.min(x[negative] / (x[negative] - solution[negative])))
        x = x + reach * (solution - x)
        free &= x > 1e-15
