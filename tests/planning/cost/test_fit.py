"""How the cost model is fitted to measurements."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from cosmos_batch.engines.registry import profile
from cosmos_batch.planning.cost.fit import calibrated, fit, knee, nonnegative_ridge
from cosmos_batch.planning.cost.model import CostModel, Measurement, Work, features

PRIOR = profile("transfer", "h100")


def measured(
    model: CostModel, *works: Work, factor: float = 1.0, branches: int = 1, predicted: float | None = None
) -> Measurement:
    batch = features(works, branches)
    return Measurement(
        **asdict(batch),
        engine="transfer",
        device="h100",
        kind="batch",
        seconds=factor * model.batch_seconds(batch),
        bytes=model.peak_bytes(batch.tokens, branches, batch.rows),
        predicted_seconds=predicted,
    )


def test_without_measurements_the_prior_stands() -> None:
    assert fit([], PRIOR) == PRIOR


def test_one_measurement_scales_the_whole_prior() -> None:
    slow = measured(PRIOR, Work(35, 2, 5_760, 1, 10**6), factor=3)
    fitted = fit([slow], PRIOR)
    assert (fitted.token, fitted.attention) == pytest.approx((3 * PRIOR.token, 3 * PRIOR.attention))
    assert fitted.measured == 1
    assert fitted.load == PRIOR.load


def test_first_batch_of_a_process_counts_only_while_there_is_no_other() -> None:
    work = Work(35, 2, 5_760, 1, 10**6)
    first, later = replace(measured(PRIOR, work, factor=9), first=True), measured(PRIOR, work, factor=2)
    assert fit([first], PRIOR).token == pytest.approx(9 * PRIOR.token)
    assert fit([first, later, first], PRIOR).token == pytest.approx(2 * PRIOR.token)


def test_many_measurements_determine_the_coefficients() -> None:
    truth = replace(
        PRIOR, batch=0.3, step=0.005, token=1e-5, control=1e-6, attention=0.0, pixel=9e-8, control_pixel=3e-9
    )
    shapes = [(n, t, c) for n in (1, 2, 4) for t in (300, 1_920, 5_760, 37_440) for c in (0, 1, 4)]
    works = [
        [Work(steps, 2, tokens, controls, tokens * 900)] * runs
        for runs, tokens, controls in shapes
        for steps in (10, 50)
    ]
    fitted = fit([measured(truth, *batch) for batch in works] * 4, PRIOR)
    errors = [abs(fitted.batch_seconds(features(w, 1)) / truth.batch_seconds(features(w, 1)) - 1) for w in works]
    assert max(errors) < 0.05
    assert min(fitted.batch, fitted.step, fitted.token, fitted.control, fitted.attention, fitted.pixel) >= 0


def test_loads_and_bytes_are_fitted() -> None:
    loads = [
        Measurement(engine="transfer", device="h100", kind="launch", branches=n, seconds=10 + 2 * n)
        for n in (1, 2, 4)
    ]
    fitted = fit(loads * 20, PRIOR)
    assert [fitted.load_seconds(n) for n in (1, 4)] == pytest.approx([12, 18], rel=0.03)
    bytes_ = ("model_bytes", "branch_bytes", "token_bytes", "row_bytes")
    heavier = replace(PRIOR, **{name: 2 * getattr(PRIOR, name) for name in bytes_})
    fitted = fit([measured(heavier, Work(1, 2, 5_760, 1, 1))], PRIOR)
    assert fitted.token_bytes == pytest.approx(2 * PRIOR.token_bytes)


def purposely(
    truth: CostModel, runs: int, tokens: int, controls: int, seconds: float | None = None
) -> Measurement:
    step = features([Work(1, 2, tokens, controls, 0)] * runs, controls)
    taken = truth.batch_seconds(step) - truth.batch if seconds is None else seconds
    return Measurement(**asdict(step), engine="transfer", device="h100", kind="batch", seconds=taken)


def test_calibration_finds_a_machine_twice_as_fast_where_batching_pays() -> None:
    half = {name: getattr(PRIOR, name) / 2 for name in ("token", "control", "attention")}
    truth = replace(PRIOR, step=0.02, **half)
    seen = [(1, 5_760, 0), (1, 5_760, 4), (2, 5_760, 1), (4, 5_760, 1), (1, 37_440, 1), (1, 84_480, 1)]
    model = calibrated([purposely(truth, *case) for case in seen], [], PRIOR)
    for unseen in ((3, 5_760, 2), (1, 26_400, 3), (1, 63_360, 1)):
        wanted = purposely(truth, *unseen)
        assert model.batch_seconds(wanted) - model.batch == pytest.approx(wanted.seconds, rel=0.05)
    assert model.knee_tokens == 4 * 2 * 5_760  # four are 9 % better than two
    assert (model.measured, model.pixel) == (6, PRIOR.pixel)


def coding(held: int, frame: int, branches: int = 4) -> Measurement:
    weights = PRIOR.peak_bytes(0, branches)
    return Measurement(
        engine="transfer", device="h100", kind="batch", seconds=1.0, pixels=93 * frame, frame=frame,
        branches=branches, bytes=weights + held,
    )  # fmt: skip


def test_calibration_fits_the_memory_of_coding_the_largest_video() -> None:
    videos = [coding(2_400_000, frame=100), coding(10_000_000, frame=1_000)]
    assert calibrated([], videos, PRIOR).coding_bytes == pytest.approx(10_000)
    tiled = replace(PRIOR, tile_pixels=500)
    assert calibrated([], videos, tiled).coding_bytes == pytest.approx(20_000)
    assert calibrated([], [replace(videos[0], bytes=None)], PRIOR).coding_bytes == PRIOR.coding_bytes


def test_knee_is_one_run_where_batches_gain_nothing() -> None:
    linear = replace(PRIOR, step=0.0)
    assert knee([purposely(linear, runs, 5_760, 1) for runs in (1, 2, 4)]) == 2 * 5_760
    assert knee([purposely(linear, 1, tokens, 1) for tokens in (5_760, 37_440)]) is None


def test_measurements_of_other_engines_and_devices_are_ignored() -> None:
    other = [
        replace(measured(PRIOR, Work(1, 1, 1, 1, 1), factor=9), **change)
        for change in ({"engine": "x"}, {"device": "x"})
    ]
    assert fit(other, PRIOR) == PRIOR


def test_error_is_that_of_past_predictions() -> None:
    work = Work(35, 2, 5_760, 1, 10**6)
    actual = PRIOR.batch_seconds(features([work], 1))
    batches = [measured(PRIOR, work, predicted=part and part * actual) for part in (None, 1.1, 0.8, 1.0)]
    assert fit(batches, PRIOR).error == pytest.approx(0.1)
    assert fit(batches[:1], PRIOR).error is None


def test_least_squares_without_negatives() -> None:
    # Without the bound the best x is (2, -1)
    matrix, target = np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0])
    x = nonnegative_ridge(matrix, target, np.zeros(2), 1e-9)
    assert x == pytest.approx([0.5, 0.0], abs=1e-6)
