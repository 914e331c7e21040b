"""Bounds of a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25, transfer_traits
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile
from cosmos_batch.engines.resolutions import TRANSFER25_SIZES
from cosmos_batch.planning.batch_size import Load, limit, sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import groups_of
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.run import Sampling
from tests.support.planning import sizes
from tests.support.runs import MakeRun

TRANSFER_COST = profile("transfer", "h100")
IMAGES = transfer_traits(
    "images", sizes=TRANSFER25_SIZES, defaults=Sampling(resolution="720"), chunk_frames=1, overlap=0
)  # a model of single frames: 16 tokens at 64x64


def test_static_table_holds_until_something_is_measured(make_run: MakeRun) -> None:
    runs = [make_run("edge", resolution="64x64") for _ in range(12)]
    assert sizes(plan_runs(runs, IMAGES, TRANSFER_COST)) == [[8, 4]]
    assert sizes(plan_runs(runs, IMAGES, replace(TRANSFER_COST, measured=1))) == [[12]]


def test_memory_bounds_a_batch(make_run: MakeRun) -> None:
    runs = [make_run("edge", resolution="64x64") for _ in range(4)]
    three = TRANSFER_COST.peak_bytes(3 * 2 * 16, branches=1, rows=3 * 2)
    assert sizes(plan_runs(runs, IMAGES, replace(TRANSFER_COST, memory_bytes=three))) == [[3, 1]]


def test_card_too_small_for_the_text_encoder_has_memory_left_without_it() -> None:
    def left(cost: CostModel) -> float:
        return sizing(TRANSFER25, replace(cost, memory_bytes=16 * 2**30), ("edge",)).memory.bytes / 2**30

    assert left(TRANSFER_COST) < 0
    assert left(PROFILE.offloaded("h100", {"text"})) == pytest.approx(16 - 4.55 - 0.80)


def test_run_that_is_never_batched_leaves_no_capacity(make_run: MakeRun) -> None:
    (group,) = groups_of([make_run("upscale", job_type="upscale")], TRANSFER1, {})
    (other,) = groups_of([make_run("edge")], TRANSFER1, {})
    bounds = sizing(TRANSFER1, profile("transfer1", "h100"), ("edge", "upscale"))
    alone, filled = Load(), Load()
    alone.add(group.run_class, 1)
    filled.add(other.run_class, 1)

    assert bounds.capacity_left(group.run_class, Load()) == 1
    assert bounds.capacity_left(other.run_class, alone) == 0
    assert bounds.capacity_left(group.run_class, filled) == 0


def test_static_table_by_control_count() -> None:
    assert [limit(controls) for controls in range(6)] == [1, 8, 4, 2, 2, 1]
