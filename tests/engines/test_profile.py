"""The cost profiles that ship."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE, STEPS
from cosmos_batch.engines.registry import profile
from cosmos_batch.errors import PlanError
from cosmos_batch.planning.cost.model import Work, features

PRIOR = profile("transfer", "h100")


@pytest.mark.parametrize(("tokens", "runs", "controls", "seconds"), STEPS)
def test_h100_profile_matches_the_timings_it_was_fitted_to(
    tokens: int, runs: int, controls: int, seconds: float
) -> None:
    step = features([Work(1, 2, tokens, controls, 0)] * runs, controls)
    assert PRIOR.batch_seconds(step) - PRIOR.batch == pytest.approx(seconds, rel=0.036)


@pytest.mark.parametrize(
    ("steps", "controls", "seconds"),
    [(2, 1, 4.87), (2, 2, 5.74), (2, 4, 7.56), (14, 1, 23.6), (14, 2, 27.2)],  # benchmarks/results/gpu-h200.md
)
def test_h100_profile_matches_whole_runs_at_832x480x93(steps: int, controls: int, seconds: float) -> None:
    run = features([Work(steps, 2, 37_440, controls, 832 * 480 * 93)], controls)
    assert PRIOR.batch_seconds(run) == pytest.approx(seconds, rel=0.02)


@pytest.mark.parametrize(
    ("width", "height", "gib"),
    [(832, 480, 4.9), (1280, 704, 10.5)],  # the autoencoder alone, its 0.24 GiB included
)
def test_h100_profile_matches_the_memory_of_coding(width: int, height: int, gib: float) -> None:
    weights, peak = (PRIOR.peak_bytes(0, branches=4, frame=frame) for frame in (0, width * height))
    assert (peak - weights) / 2**30 + 0.24 == pytest.approx(gib, rel=0.03)


def test_unknown_device_starts_from_the_engines_profile() -> None:
    assert profile("transfer", "a100") == replace(PRIOR, device="a100")
    with pytest.raises(PlanError, match="no cost profile for engine 'x'; there are some for cosmos3, pocket"):
        profile("x", "h100")


def test_offloaded_parts_take_no_device_memory() -> None:
    gib = 2**30
    plain = PRIOR.peak_bytes(0, branches=4)
    assert plain - PROFILE.offloaded("h100", {"text"}).peak_bytes(0, branches=4) == pytest.approx(13.2 * gib)
    without_both = PROFILE.offloaded("h100", {"vae", "text"})
    assert plain - without_both.peak_bytes(0, branches=4) == pytest.approx(13.44 * gib)
    taking_turns = PROFILE.offloaded("h100", {"branches"})
    assert plain - taking_turns.peak_bytes(0, branches=4) == pytest.approx(3 * PRIOR.branch_bytes)
    assert taking_turns.peak_bytes(0, branches=1) == PRIOR.peak_bytes(0, branches=1)
    assert PROFILE.offloaded("h100", ()) == PRIOR
