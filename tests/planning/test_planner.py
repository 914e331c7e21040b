"""Plans of given runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25, transfer_traits
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.packing import places_of
from cosmos_batch.planning.plan import Plan, plan_to_dict
from cosmos_batch.planning.planner import draft_plan, plan_runs
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run, Sampling
from tests.support.planning import sizes
from tests.support.runs import MakeRun

TRANSFER1_COST = profile("transfer1", "h100")
TRANSFER_COST = profile("transfer", "h100")
# As if a full device were never reached, and with cheap model loads
FREE = replace(TRANSFER1_COST, knee_tokens=None, memory_bytes=None)


def test_standard_scenario_is_one_launch_per_control_set(standard: list[Run]) -> None:
    plan = plan_runs(standard, TRANSFER1, FREE)
    assert sizes(plan) == [[6], [3], [1]]
    assert [launch.controls for launch in plan.launches] == [
        ("edge",),
        ("depth", "edge"),
        ("depth", "edge", "seg", "vis"),
    ]
    assert (
        plan.launches[0].reason
        == "6 runs with edge alone: equal in all that transfer1 holds fixed for a whole launch"
    )
    assert plan.seconds < plan.one_by_one_seconds < plan.forced_seconds


def test_standard_scenario_in_process_is_one_launch_in_all(standard: list[Run]) -> None:
    plan = plan_runs(
        [replace(run, sampling=Sampling(resolution="256")) for run in standard],
        TRANSFER25,
        TRANSFER_COST,
    )
    # 5,760 tokens and two rows a run: one run fills the device, whatever its controls
    assert sizes(plan) == [[1] * 10]
    assert plan.launches[0].reason == "10 runs of 3 control sets, which transfer takes side by side in one launch"


def test_shape_that_fills_the_device_is_not_batched(make_run: MakeRun) -> None:
    runs = [make_run("edge") for _ in range(3)]
    assert sizes(plan_runs(runs, TRANSFER25, TRANSFER_COST)) == [[1, 1, 1]]
    assert sizes(plan_runs(runs, TRANSFER1, TRANSFER1_COST)) == [[1, 1, 1]]


def test_different_settings_need_launches_of_their_own_and_are_named(make_run: MakeRun) -> None:
    runs = [make_run("edge", seed=7), make_run("edge"), make_run("edge", seed=7)]
    plan = plan_runs(runs, TRANSFER1, FREE)
    assert [launch.reason for launch in plan.launches] == [
        "2 runs with edge alone and seed = 7, which transfer1 holds fixed for a whole launch",
        "1 run with edge alone and seed = 42, which transfer1 holds fixed for a whole launch",
    ]


def test_control_of_weight_zero_is_not_loaded(make_run: MakeRun) -> None:
    controls = (Control(name="edge", weight=0.5), Control(name="seg", weight=0))
    plan = plan_runs([make_run(controls=controls), make_run("edge")], TRANSFER1, FREE)
    assert [launch.controls for launch in plan.launches] == [("edge",)]


def test_last_urgent_launch_takes_other_runs_of_its_key(make_run: MakeRun) -> None:
    runs = [
        make_run("seg", id="later"),
        make_run("edge", id="edge"),
        make_run("edge", id="edge-now", priority=100),
        make_run("vis", id="vis"),
        make_run("vis", id="vis-now", priority=100),
    ]
    plan = plan_runs(runs, TRANSFER1, TRANSFER1_COST)
    # edge would hold up vis-now, so it pays a second model load; vis holds up nobody
    assert [[run.id for run in launch.runs] for launch in plan.launches] == [
        ["edge-now"],
        ["vis-now", "vis"],
        ["edge"],
        ["later"],
    ]
    assert plan.launches[0].reason.startswith("urgent: ")
    assert plan.launches[1].reason.startswith("urgent runs first: ")


def test_of_equal_urgent_launches_one_with_other_runs_of_its_key_is_last(make_run: MakeRun) -> None:
    runs = [
        make_run("edge", id="now", priority=100),
        make_run("edge", id="now-7", seed=7, priority=100),
        make_run("edge", id="later"),
    ]
    plan = plan_runs(runs, TRANSFER1, TRANSFER1_COST)
    assert [[run.id for run in launch.runs] for launch in plan.launches] == [["now-7"], ["now", "later"]]


def test_length_is_that_of_the_shortest_control_video(make_run: MakeRun) -> None:
    short = Control(name="edge", weight=1, video="/in/edge.mp4")
    facts = {"/in/a.mp4": VideoInfo(640, 480, 100, 24), "/in/edge.mp4": VideoInfo(640, 480, 60, 24)}
    plan = plan_runs([make_run(controls=(short,))], TRANSFER25, TRANSFER_COST, facts=facts)
    assert plan.launches[0].batches[0].shape == Shape(960, 704, 60)


def test_traits_of_a_small_model_follow_from_its_numbers(make_run: MakeRun) -> None:
    small = transfer_traits(
        "small", sizes={}, defaults=Sampling(resolution="160x96", num_steps=12), chunk_frames=17, overlap=1
    )
    plan = plan_runs([make_run("edge"), make_run("vis", guidance=2)], traits_of(small), TRANSFER_COST)
    (batch,) = plan.launches[0].batches
    assert (batch.shape, small.tokens(batch.runs[0], batch.shape), len(batch.runs)) == (Shape(160, 96, 17), 300, 2)
    with pytest.raises(PlanError, match="which takes WIDTHxHEIGHT"):
        plan_runs([make_run("edge", resolution="720")], small, TRANSFER_COST)
    with pytest.raises(PlanError, match="must name a resolution"):
        transfer_traits("small", sizes={}, defaults=Sampling())


def test_draft_and_plan_hold_the_same_runs_in_the_same_batches(standard: list[Run]) -> None:
    drafts = draft_plan(standard, TRANSFER1, FREE)
    plan = plan_runs(standard, TRANSFER1, FREE)

    drafted = [[[standard[place].id for place in places_of(batch)] for batch in draft.batches] for draft in drafts]
    assert drafted == [[[run.id for run in batch.runs] for batch in launch.batches] for launch in plan.launches]


def test_plan_says_both_sizes(make_run: MakeRun) -> None:
    """A size of the output changes neither the batch nor its cost."""
    facts = {"/in/a.mp4": VideoInfo(1921, 1081, 93, 24), "/in/b.mp4": VideoInfo(640, 360, 93, 24)}
    runs = [
        make_run("edge", resolution="256"),
        make_run("edge", resolution="256", keep_input_resolution=True),
        make_run("vis", resolution="256", keep_input_resolution=True, video="/in/b.mp4"),
    ]
    (launch,) = plan_runs(runs, TRANSFER25, TRANSFER_COST, facts=facts).launches
    batches = plan_to_dict(Plan("transfer", (launch,), 0, 0, None))["launches"][0]["batches"]
    assert {(batch["width"], batch["height"]) for batch in batches} == {(320, 192)}
    sizes = [(size["width"], size["height"]) for batch in batches for size in batch["output_sizes"]]
    assert set(sizes) == {(320, 192), (1920, 1080), (640, 360)}


def test_single_frames_share_batches_of_their_own(make_run: MakeRun) -> None:
    facts = {"/in/a.png": VideoInfo(320, 192, 1, 25), "/in/a.mp4": VideoInfo(320, 192, 93, 25)}
    pictures = [make_run("edge", video="/in/a.png", resolution="256") for _ in range(3)]
    first = make_run("vis", video="/in/a.mp4", num_frames=1, resolution="256")
    video = make_run("edge", video="/in/a.mp4", resolution="256")
    plan = plan_runs([video, *pictures, first], TRANSFER25, TRANSFER_COST, facts=facts)
    batches = [{run.id for run in batch.runs} for launch in plan.launches for batch in launch.batches]
    assert sorted(batches, key=len) == [{video.id}, {first.id, *(run.id for run in pictures)}]
