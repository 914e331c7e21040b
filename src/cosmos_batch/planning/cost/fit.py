"""Fit a cost model to measurements.

Least squares on the relative error, coefficients never negative, with a ridge towards the prior, which is first
rescaled to the measurements' median ratio: few measurements make the prior faster or slower as a whole, many
determine each coefficient.
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
_LIGHT_RIDGE = 1e-5  # measurements of a calibration are exact to a few percent and separate the coefficients
_WINDOW = 100  # past predictions that count for the stated error

# Coefficients of the cost model, each with the feature it multiplies ("" is the constant 1)
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
    """Fit the prior to what was measured on its engine and device; ignore other measurements.

    A coefficient that the prior holds at zero stays zero. The first batches of processes, which take
    longer, count only where there are no others. The stated error is prequential: the median of
    |predicted - measured| / measured over the last 100 batches, each predicted before it ran.
    """
    own = [m for m in measurements if (m.engine, m.device) == (prior.engine, prior.device) and m.seconds > 0]
    batches = [m for m in own if m.kind == "batch"]
    batches = [m for m in batches if not m.first] or batches
    launches = [m for m in own if m.kind == "launch"]
    with_bytes = [m for m in batches if m.bytes]
    fitted: dict[str, Any] = {
        **_coefficients(_BATCH, batches, [m.seconds for m in batches], prior),
        **_coefficients(_LAUNCH, launches, [m.seconds for m in launches], prior),
        **_coefficients(_BYTES, with_bytes, [float(m.bytes or 0) for m in with_bytes], prior),
    }
    return replace(
        prior, **fitted, measured=prior.measured + len(batches), error=past_error(batches) or prior.error
    )


def calibrated(steps: Sequence[Measurement], coding: Sequence[Measurement], prior: CostModel) -> CostModel:
    """Fit the prior to a calibration: measurements of denoising steps alone, and of encoding and decoding alone.

    Model loads and the fixed time of a batch, which neither measures, stay those of the prior. The stated
    error is the median of |fitted - measured| / measured over the steps.
    """
    stepping = {name: _BATCH[name] for name in ("step", "token", "control", "attention")}
    coded = {name: _BATCH[name] for name in ("pixel", "control_pixel")}
    with_bytes = [m for m in steps if m.bytes]
    fitted: dict[str, Any] = {
        **_coefficients(stepping, steps, [m.seconds for m in steps], prior, _LIGHT_RIDGE),
        **_coefficients(coded, coding, [m.seconds for m in coding], prior, _LIGHT_RIDGE),
        **_coefficients(_BYTES, with_bytes, [float(m.bytes or 0) for m in with_bytes], prior, _LIGHT_RIDGE),
    }
    model = replace(prior, **fitted, measured=len(steps), knee_tokens=knee(steps) or prior.knee_tokens)
    model = replace(model, coding_bytes=_coding_bytes(coding, model))
    wrong = [abs(model.batch_seconds(m) - model.batch - m.seconds) / m.seconds for m in steps]
    return replace(model, error=median(wrong) if wrong else prior.error)


def _coding_bytes(coding: Sequence[Measurement], model: CostModel) -> float:
    """Bytes per pixel of coding the largest video, weights excluded; small videos are coded in larger groups."""
    with_bytes = [m for m in coding if m.bytes and m.frame]
    if not with_bytes:
        return model.coding_bytes
    largest = max(with_bytes, key=lambda m: m.frame)
    return max(0.0, ((largest.bytes or 0) - model.peak_bytes(0, largest.branches)) / model.coded(largest.frame))


_NEAR = 1.05  # a batch within this ratio of the best seconds per run is as good, and a smaller one ends sooner


def knee(steps: Sequence[Measurement]) -> int | None:
    """Tokens of the smallest forward pass beyond which larger batches gain nothing; None: not enough measurements.

    Taken from the smallest runs that were measured in batches of several sizes, with equal controls.
    """
    groups: dict[tuple[int, float], list[tuple[int, float]]] = {}
    for m in steps:
        alike = (m.tokens // m.runs, m.control_steps / m.token_steps)
        groups.setdefault(alike, []).append((m.tokens, m.seconds / m.steps / m.runs))
    comparable = [key for key, group in groups.items() if len({tokens for tokens, _ in group}) > 1]
    if not comparable:
        return None
    group = sorted(groups[min(comparable)])
    best = min(seconds for _, seconds in group)
    return next(tokens for tokens, seconds in group if seconds <= _NEAR * best)


def past_error(measurements: Sequence[Measurement]) -> float | None:
    """Median |predicted - measured| / measured over the last 100 predicted; None where none was."""
    predicted = [(m.predicted_seconds, m.seconds) for m in measurements if m.predicted_seconds is not None]
    if not predicted:
        return None
    return median(abs(before - seconds) / seconds for before, seconds in predicted[-_WINDOW:])


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
        x = _solve_free(square, right, x, free)
    return x


def _solve_free(square: Array, right: Array, x: Array, free: NDArray[np.bool_]) -> Array:
    """Solve for the free unknowns; fix at zero each unknown that would become negative on the way."""
    while True:
        solution = np.zeros_like(x)
        solution[free] = np.linalg.solve(square[np.ix_(free, free)], right[free])
        negative = free & (solution <= 0)
        if not negative.any():
            return solution
        reach = float(np.min(x[negative] / (x[negative] - solution[negative])))
        x = x + reach * (solution - x)
        free &= x > 1e-15
