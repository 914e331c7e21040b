"""What the cost model predicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.registry import profile
from cosmos_batch.planning.cost.model import Work, features

PRIOR = profile("transfer", "h100")


def test_peak_of_a_batch_is_of_its_steps_or_of_a_coded_video() -> None:
    model = replace(PRIOR, token_bytes=10.0, coding_bytes=5.0)
    kept = model.peak_bytes(0, branches=1, rows=2)
    assert model.peak_bytes(1_000, 1, 2, frame=3_000) == kept + 15_000
    assert model.peak_bytes(1_000, 1, 2, frame=1_000) == kept + 10_000
    assert replace(model, tile_pixels=2_500).peak_bytes(1_000, 1, 2, frame=3_000) == kept + 12_500


def test_batch_costs_its_overhead_and_the_seconds_of_each_run() -> None:
    works = [Work(35, 2, 1_920, 1, 1_000_000, source=True), Work(20, 1, 1_920, 4, 500_000)]
    assert features(works, 4).control_pixels == 2 * 1_000_000 + 4 * 500_000
    one_by_one = sum(PRIOR.run_seconds(work) for work in works)
    assert PRIOR.batch_seconds(features(works, 4)) == pytest.approx(PRIOR.overhead_seconds(35) + one_by_one)
