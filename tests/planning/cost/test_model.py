"""The cost model: what it predicts, and how it learns."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from cosmos_batch.engines.catalogue import TRANSFER25
from cosmos_batch.engines.cost_profiles import STEPS, offloaded, profile
from cosmos_batch.errors import PlanError
from cosmos_batch.planning.batch_size import sizing
from cosmos_batch.planning.cost.fit import calibrated, fit, knee, nonnegative_ridge
from cosmos_batch.planning.cost.model import Measurement, Work, features

PRIOR = profile("transfer", "h100")


def measured(model, *works, factor=1.0, branches=1, predicted=None):
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


@pytest.mark.parametrize(("tokens", "runs", "controls", "seconds"), STEPS)
def test_the_h100_profile_meets_the_timings_it_was_made_from(tokens, runs, controls, seconds):
    step = features([Work(1, 2, tokens, controls, 0)] * runs, controls)
    assert PRIOR.batch_seconds(step) - PRIOR.batch == pytest.approx(seconds, rel=0.036)


@pytest.mark.parametrize(
    ("steps", "controls", "seconds"),
    [(2, 1, 4.87), (2, 2, 5.74), (2, 4, 7.56), (14, 1, 23.6), (14, 2, 27.2)],  # benchmarks/results/gpu-h200.md
)
def test_the_h100_profile_meets_whole_runs_at_832x480x93(steps, controls, seconds):
    run = features([Work(steps, 2, 37_440, controls, 832 * 480 * 93)], controls)
    assert PRIOR.batch_seconds(run) == pytest.approx(seconds, rel=0.02)


@pytest.mark.parametrize(
    ("width", "height", "gib"),
    [(832, 480, 4.9), (1280, 704, 10.5)],  # the autoencoder alone, its 0.24 GiB included
)
def test_the_h100_profile_meets_what_coding_holds(width, height, gib):
    weights, peak = (PRIOR.peak_bytes(0, branches=4, frame=frame) for frame in (0, width * height))
    assert (peak - weights) / 2**30 + 0.24 == pytest.approx(gib, rel=0.03)


def test_a_batch_holds_its_steps_or_a_video_that_is_coded():
    model = replace(PRIOR, token_bytes=10.0, coding_bytes=5.0)
    kept = model.peak_bytes(0, branches=1, rows=2)
    assert model.peak_bytes(1_000, 1, 2, frame=3_000) == kept + 15_000
    assert model.peak_bytes(1_000, 1, 2, frame=1_000) == kept + 10_000
    assert replace(model, tile_pixels=2_500).peak_bytes(1_000, 1, 2, frame=3_000) == kept + 12_500


def test_a_batch_costs_its_overhead_and_what_each_run_adds():
    works = [Work(35, 2, 1_920, 1, 1_000_000), Work(20, 1, 1_920, 4, 500_000)]
    one_by_one = sum(PRIOR.run_seconds(work) for work in works)
    assert PRIOR.batch_seconds(features(works, 4)) == pytest.approx(PRIOR.overhead_seconds(35) + one_by_one)


def test_without_measurements_the_prior_stands():
    assert fit([], PRIOR) == PRIOR


def test_one_measurement_makes_the_whole_prior_slower():
    slow = measured(PRIOR, Work(35, 2, 5_760, 1, 10**6), factor=3)
    fitted = fit([slow], PRIOR)
    assert (fitted.token, fitted.attention) == pytest.approx((3 * PRIOR.token, 3 * PRIOR.attention))
    assert fitted.measured == 1
    assert fitted.load == PRIOR.load


def test_a_processes_first_batch_counts_only_while_there_is_no_other():
    work = Work(35, 2, 5_760, 1, 10**6)
    first, later = replace(measured(PRIOR, work, factor=9), first=True), measured(PRIOR, work, factor=2)
    assert fit([first], PRIOR).token == pytest.approx(9 * PRIOR.token)
    assert fit([first, later, first], PRIOR).token == pytest.approx(2 * PRIOR.token)


def test_many_measurements_are_believed():
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


def test_loads_and_bytes_are_learnt_too():
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


def purposely(truth, runs, tokens, controls, seconds=None):
    step = features([Work(1, 2, tokens, controls, 0)] * runs, controls)
    taken = truth.batch_seconds(step) - truth.batch if seconds is None else seconds
    return Measurement(**asdict(step), engine="transfer", device="h100", kind="batch", seconds=taken)


def test_calibration_finds_a_machine_twice_as_fast_where_batching_pays():
    half = {name: getattr(PRIOR, name) / 2 for name in ("token", "control", "attention")}
    truth = replace(PRIOR, step=0.02, **half)
    seen = [(1, 5_760, 0), (1, 5_760, 4), (2, 5_760, 1), (4, 5_760, 1), (1, 37_440, 1), (1, 84_480, 1)]
    model = calibrated([purposely(truth, *case) for case in seen], [], PRIOR)
    for unseen in ((3, 5_760, 2), (1, 26_400, 3), (1, 63_360, 1)):
        wanted = purposely(truth, *unseen)
        assert model.batch_seconds(wanted) - model.batch == pytest.approx(wanted.seconds, rel=0.05)
    assert model.knee_tokens == 4 * 2 * 5_760  # four are 9 % better than two
    assert (model.measured, model.pixel) == (6, PRIOR.pixel)


def coding(held, frame, branches=4):
    weights = PRIOR.peak_bytes(0, branches)
    return Measurement(
        engine="transfer", device="h100", kind="batch", seconds=1.0, pixels=93 * frame, frame=frame,
        branches=branches, bytes=weights + held,
    )  # fmt: skip


def test_calibration_learns_what_coding_the_largest_video_holds():
    videos = [coding(2_400_000, frame=100), coding(10_000_000, frame=1_000)]
    assert calibrated([], videos, PRIOR).coding_bytes == pytest.approx(10_000)
    tiled = replace(PRIOR, tile_pixels=500)
    assert calibrated([], videos, tiled).coding_bytes == pytest.approx(20_000)
    assert calibrated([], [replace(videos[0], bytes=None)], PRIOR).coding_bytes == PRIOR.coding_bytes


def test_where_batches_gain_nothing_one_run_is_the_knee():
    linear = replace(PRIOR, step=0.0)
    assert knee([purposely(linear, runs, 5_760, 1) for runs in (1, 2, 4)]) == 2 * 5_760
    assert knee([purposely(linear, 1, tokens, 1) for tokens in (5_760, 37_440)]) is None


def test_other_engines_and_devices_are_left_out():
    other = [
        replace(measured(PRIOR, Work(1, 1, 1, 1, 1), factor=9), **change)
        for change in ({"engine": "x"}, {"device": "x"})
    ]
    assert fit(other, PRIOR) == PRIOR


def test_the_error_is_what_past_predictions_missed_by():
    work = Work(35, 2, 5_760, 1, 10**6)
    actual = PRIOR.batch_seconds(features([work], 1))
    batches = [measured(PRIOR, work, predicted=part and part * actual) for part in (None, 1.1, 0.8, 1.0)]
    assert fit(batches, PRIOR).error == pytest.approx(0.1)
    assert fit(batches[:1], PRIOR).error is None


def test_least_squares_without_negatives():
    # Without the bound the best x is (2, -1)
    matrix, target = np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0])
    x = nonnegative_ridge(matrix, target, np.zeros(2), 1e-9)
    assert x == pytest.approx([0.5, 0.0], abs=1e-6)


def test_an_unknown_device_starts_from_the_engines_profile():
    assert profile("transfer", "a100") == replace(PRIOR, device="a100")
    with pytest.raises(PlanError, match="no cost profile for engine 'x'; there are some for cosmos3, pocket"):
        profile("x", "h100")


def test_parts_that_wait_in_the_hosts_memory_do_not_count():
    gib = 2**30
    plain = PRIOR.peak_bytes(0, branches=4)
    assert plain - offloaded(PRIOR, {"text"}).peak_bytes(0, branches=4) == pytest.approx(13.2 * gib)
    assert plain - offloaded(PRIOR, {"vae", "text"}).peak_bytes(0, branches=4) == pytest.approx(13.44 * gib)
    taking_turns = offloaded(PRIOR, {"branches"})
    assert plain - taking_turns.peak_bytes(0, branches=4) == pytest.approx(3 * PRIOR.branch_bytes)
    assert taking_turns.peak_bytes(0, branches=1) == PRIOR.peak_bytes(0, branches=1)
    assert offloaded(PRIOR, ()) == PRIOR


def test_a_card_too_small_for_the_text_encoder_has_room_without_it():
    def left(cost):
        return sizing(TRANSFER25, replace(cost, memory_bytes=16 * 2**30), ("edge",)).memory.bytes / 2**30

    assert left(PRIOR) < 0
    assert left(offloaded(PRIOR, {"text"})) == pytest.approx(16 - 4.55 - 0.80)
