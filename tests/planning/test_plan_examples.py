"""Plans that can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.catalogue import (
    TRANSFER1,
    TRANSFER1_BUCKETS,
    TRANSFER25,
    TRANSFER25_SIZES,
    nearest,
    traits_of,
    transfer_traits,
)
from cosmos_batch.engines.cost_profiles import profile
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.batch_keys import input_facts
from cosmos_batch.planning.equivalence import refusals, refusals_by_run
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Sampling

TRANSFER1_COST = profile("transfer1", "h100")
TRANSFER_COST = profile("transfer", "h100")
IMAGES = transfer_traits(
    "images", sizes=TRANSFER25_SIZES, defaults=Sampling(resolution="720"), chunk_frames=1, overlap=0
)  # a model of single frames: 16 tokens at 64x64
# As if a full device were never reached, and with cheap model loads
FREE = replace(TRANSFER1_COST, knee_tokens=None, memory_bytes=None)


def sizes(plan):
    return [[len(batch.runs) for batch in launch.batches] for launch in plan.launches]


def test_the_standard_scenario_is_one_launch_per_control_set(standard):
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


def test_the_standard_scenario_in_process_is_one_launch_in_all(standard):
    plan = plan_runs(
        [replace(run, sampling=Sampling(resolution="256")) for run in standard],
        TRANSFER25,
        TRANSFER_COST,
    )
    # 5,760 tokens and two rows a run: one run fills the device, whatever its controls
    assert sizes(plan) == [[1] * 10]
    assert plan.launches[0].reason == "10 runs of 3 control sets, which transfer takes side by side in one launch"


def test_a_shape_that_fills_the_device_goes_one_by_one(make_run):
    runs = [make_run("edge") for _ in range(3)]
    assert sizes(plan_runs(runs, TRANSFER25, TRANSFER_COST)) == [[1, 1, 1]]
    assert sizes(plan_runs(runs, TRANSFER1, TRANSFER1_COST)) == [[1, 1, 1]]


def test_the_static_table_holds_until_something_was_measured(make_run):
    runs = [make_run("edge", resolution="64x64") for _ in range(12)]
    assert sizes(plan_runs(runs, IMAGES, TRANSFER_COST)) == [[8, 4]]
    assert sizes(plan_runs(runs, IMAGES, replace(TRANSFER_COST, measured=1))) == [[12]]


def test_memory_bounds_a_batch(make_run):
    runs = [make_run("edge", resolution="64x64") for _ in range(4)]
    three = TRANSFER_COST.peak_bytes(3 * 2 * 16, branches=1, rows=3 * 2)
    assert sizes(plan_runs(runs, IMAGES, replace(TRANSFER_COST, memory_bytes=three))) == [[3, 1]]


def test_settings_that_differ_part_launches_and_say_so(make_run):
    runs = [make_run("edge", seed=7), make_run("edge"), make_run("edge", seed=7)]
    plan = plan_runs(runs, TRANSFER1, FREE)
    assert [launch.reason for launch in plan.launches] == [
        "2 runs with edge alone and seed = 7, which transfer1 holds fixed for a whole launch",
        "1 run with edge alone and seed = 42, which transfer1 holds fixed for a whole launch",
    ]


def test_a_control_of_weight_zero_is_never_paid_for(make_run):
    controls = (Control(name="edge", weight=0.5), Control(name="seg", weight=0))
    plan = plan_runs([make_run(controls=controls), make_run("edge")], TRANSFER1, FREE)
    assert [launch.controls for launch in plan.launches] == [("edge",)]


def test_the_last_urgent_launch_takes_its_like_along(make_run):
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


def test_of_equal_urgent_launches_the_one_that_has_its_like_waiting_comes_last(make_run):
    runs = [
        make_run("edge", id="now", priority=100),
        make_run("edge", id="now-7", seed=7, priority=100),
        make_run("edge", id="later"),
    ]
    plan = plan_runs(runs, TRANSFER1, TRANSFER1_COST)
    assert [[run.id for run in launch.runs] for launch in plan.launches] == [["now-7"], ["now", "later"]]


def test_leftovers_get_a_launch_only_where_that_is_cheaper(make_run):
    # Three sets of weights in batches of up to eight; every launch has one batch size
    runs = [make_run("edge", weight=w) for w, count in ((0.1, 8), (0.2, 5), (0.3, 4)) for _ in range(count)]
    loads_cost = replace(FREE, load=1000.0, batch=1.0)
    assert sizes(plan_runs(runs, TRANSFER1, loads_cost)) == [[4, 4, 4, 4, 1]]
    batches_cost = replace(FREE, load=0.0, load_branch=0.0, batch=1000.0)
    plan = plan_runs(runs, TRANSFER1, batches_cost)
    assert sizes(plan) == [[8, 5], [4]]
    assert plan.launches[1].reason == "4 runs with edge alone that did not fill a batch of the launch before"


def test_a_video_counts_as_long_as_its_shortest_control(make_run):
    short = Control(name="edge", weight=1, video="/in/edge.mp4")
    facts = {"/in/a.mp4": VideoInfo(640, 480, 100, 24), "/in/edge.mp4": VideoInfo(640, 480, 60, 24)}
    plan = plan_runs([make_run(controls=(short,))], TRANSFER25, TRANSFER_COST, facts=facts)
    assert plan.launches[0].batches[0].shape == Shape(960, 704, 60)


def test_a_mask_shortens_a_video_unless_it_is_a_single_picture(make_run):
    facts = {"/in/a.mp4": VideoInfo(640, 480, 90, 24), "/in/mask.mp4": VideoInfo(640, 480, 60, 24)}
    run = make_run(controls=(Control(name="edge", weight=1, mask="/in/mask.mp4"),))
    single = facts | {"/in/mask.mp4": VideoInfo(640, 480, 1, 24)}
    assert [input_facts(run, known).frames for known in (facts, single)] == [60, 90]


def test_every_refusal_is_given_at_once(make_run):
    runs = [
        make_run("keypoint", id="a", resolution="100x64"),
        make_run("edge", id="b", job_type="upscale", resolution="721"),
        make_run("edge", id="c", resolution="64x96"),
    ]
    assert [str(problem).split(":")[:2] for problem in refusals(runs, TRANSFER25)] == [
        ["a", " controls.keypoint"],
        ["a", " resolution"],
        ["b", " job_type = upscale"],
        ["b", " resolution"],
    ]
    assert list(refusals_by_run(runs, TRANSFER25)) == ["a", "b"]
    with pytest.raises(PlanError, match="96x64 would do"):
        plan_runs(runs, TRANSFER25, TRANSFER_COST)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"resolution": "480p"}, "resolution"),
        ({"num_frames": 50}, "num_frames"),
        ({"fps": "input"}, "fps"),
        ({"negative_prompt": ""}, "negative_prompt"),
        ({"controls": (Control(name="lidar", weight=1),)}, "controls.lidar"),
        ({"controls": (Control(name="edge", weight=0.5, mask="/in/mask.mp4"),)}, "controls.edge"),
        ({"controls": (Control(name="edge", weight=0.5, mask_prompt="cup"),)}, "controls.edge"),
    ],
)
def test_what_transfer1_would_drop_or_choke_on_is_refused(make_run, fields, field):
    fields = {"controls": (Control(name="edge", weight=1),)} | fields
    (problem,) = refusals([make_run(id="a", **fields)], TRANSFER1)
    assert problem.field == f"a: {field}"


def test_transfer1_takes_settings_that_say_what_it_does_anyway(make_run):
    facts = {"/in/a.mp4": VideoInfo(640, 480, 50, 24)}
    run = make_run("edge", resolution="960x704", num_frames=50, fps="input")
    assert refusals([run], TRANSFER1, facts) == ()
    assert (
        refusals([make_run("edge", resolution="1280x704", id="a")], TRANSFER1, facts)[0].field == "a: resolution"
    )


def test_transfer1_cannot_make_a_single_image(make_run):
    assert refusals([make_run("edge")], TRANSFER1, {"/in/a.mp4": VideoInfo(640, 480, 1, 24)})


@pytest.mark.parametrize(
    ("width", "height", "bucket"),
    [
        (1920, 1080, (1280, 704)),
        (640, 480, (960, 704)),
        (500, 510, (960, 960)),
        (3, 4, (704, 960)),
        (1, 3, (704, 1280)),
    ],
)
def test_a_video_goes_to_the_bucket_nearest_in_aspect(width, height, bucket):
    assert nearest(TRANSFER1_BUCKETS, VideoInfo(width, height, 10, 24)) == bucket


@pytest.mark.parametrize(
    ("frames", "transfer1", "transfer25"), [(93, 1, 1), (94, 1, 2), (121, 1, 2), (122, 2, 2), (186, 2, 3)]
)
def test_chunks_of_a_long_video(frames, transfer1, transfer25):
    assert TRANSFER1.chunks(frames) == transfer1
    assert TRANSFER25.chunks(frames) == transfer25


@pytest.mark.parametrize(
    ("width", "height", "frames", "tokens"),
    [
        (320, 192, 29, 5_760),  # padded to 93 frames
        (320, 192, 93, 5_760),
        (832, 480, 93, 37_440),
        (1280, 704, 93, 84_480),
        (1280, 704, 200, 84_480),
    ],
)
def test_tokens_of_a_chunk(width, height, frames, tokens):
    assert TRANSFER25.tokens(Shape(width, height, frames)) == tokens


def test_traits_of_a_small_model_are_made_from_its_numbers(make_run):
    small = transfer_traits(
        "small", sizes={}, defaults=Sampling(resolution="160x96", num_steps=12), chunk_frames=17, overlap=1
    )
    plan = plan_runs([make_run("edge"), make_run("vis", guidance=2)], traits_of(small), TRANSFER_COST)
    (batch,) = plan.launches[0].batches
    assert (batch.shape, small.tokens(batch.shape), len(batch.runs)) == (Shape(160, 96, 17), 300, 2)
    with pytest.raises(PlanError, match="which takes WIDTHxHEIGHT"):
        plan_runs([make_run("edge", resolution="720")], small, TRANSFER_COST)
    with pytest.raises(PlanError, match="must name a resolution"):
        transfer_traits("small", sizes={}, defaults=Sampling())
