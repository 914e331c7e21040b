"""Traits of NVIDIA's scripts: refusals as a table, and launches that never mix keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch.engines.nvidia.cosmos3.traits import COSMOS3
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1_DRIVEN, upscaled
from cosmos_batch.engines.nvidia.transfer25.traits import TRANSFER25_SCRIPT
from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.batch_keys import is_map
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Control, GuidedGeneration, Run, Sampling

WIDE, UPRIGHT = VideoInfo(1920, 1080, 93, 29.97), VideoInfo(1080, 1920, 93, 30.0)
FACTS = {
    "/in/a.mp4": WIDE,
    "/in/a.mkv": WIDE,
    "/in/up.mp4": UPRIGHT,
    "/in/long.mp4": replace(WIDE, frames=200),
    "/in/labels.npz": replace(WIDE, fps=0.0),
    "/in/one.mp4": replace(WIDE, frames=1),
    "/in/one.png": replace(WIDE, frames=1, fps=25.0),
}
GUIDED = GuidedGeneration(mask="/in/mask.png")
GIVEN_DEPTH = Control(name="depth", weight=1.0, video="/in/a.mp4")
VIDEOS = (("/in/a.mp4", 6), ("/in/long.mp4", 9), ("/in/up.mp4", 9))
# Table only: no knee and no memory limit
FREE = replace(profile("transfer1", "h100"), knee_tokens=None, memory_bytes=None)
BATCHES_PAY = replace(FREE, load=30.0, load_branch=0.0, batch=60.0)

REFUSED = [
    # engine, what is asked for, the field that is refused, a word of the reason
    ("transfer1", {"seed": 2**32}, "seed", "32 bits"),
    ("transfer1", {"negative_prompt": ""}, "negative_prompt", "empty"),
    ("transfer1", {"num_frames": 10}, "num_frames", "as many frames as the input has"),
    ("transfer1", {"video": "/in/one.mp4"}, "video", "single image"),
    (
        "transfer1",
        {"controls": (replace(GIVEN_DEPTH, video="/in/up.mp4"),)},
        "controls.depth.video",
        "another size",
    ),
    (
        "transfer1",
        {"controls": (Control(name="upscale", weight=1, video="/in/a.mp4"),)},
        "controls.upscale",
        "itself",
    ),
    ("transfer1", {"job_type": "distilled", "controls": (GIVEN_DEPTH,)}, "job_type", "has edge alone"),
    ("transfer25", {"job_type": "distilled"}, "job_type", "does not do this"),
    ("transfer25-distilled", {"num_steps": 5}, "num_steps", "takes 1 to 4 steps"),
    ("transfer25-distilled", {"controls": (GIVEN_DEPTH,)}, "controls.depth", "no such control"),
    (
        "transfer1",
        {"controls": (Control(name="edge", weight=1, mask="/in/a.mp4"),)},
        "controls.edge",
        "weight maps",
    ),
    (
        "transfer1",
        {"controls": (Control(name="edge", weight=1, mask_prompt="car"),)},
        "controls.edge",
        "seg alone",
    ),
    (
        "transfer1",
        {"controls": (Control(name="wsm", weight=1, video="/in/a.mp4"),)},
        "controls.wsm",
        "no such control",
    ),
    ("transfer25", {"guidance": 3.5}, "guidance", "whole numbers"),
    ("transfer25", {"guidance": 8.0}, "guidance", "0 to 7"),
    ("transfer25", {"sigma_max": 50.0}, "sigma_max", "no effect"),
    ("transfer25", {"fps": 24.0}, "fps", "input's rate, here 29"),
    ("transfer25", {"negative_prompt": ""}, "negative_prompt", "blocks"),
    ("transfer25", {"resolution": "1000x1000"}, "resolution", "no such size"),
    ("transfer25", {"resolution": "704x1280"}, "resolution", "aspect nearest"),
    ("transfer25", {"video": "/in/a.mkv"}, "video", "such a name"),
    ("transfer25", {"video": None, "controls": (GIVEN_DEPTH,)}, "video", "needs an input video"),
    ("transfer25", {"controls": (Control(name="edge", weight=1.5),)}, "controls.edge", "up to 1"),
    ("transfer25", {"controls": (Control(name="edge", weight=1, mask="/in/m.pt"),)}, "controls.edge", "as videos"),
    ("transfer25", {"job_type": "upscale"}, "job_type", "does not do this"),
    ("cosmos3", {"controls": (Control(name="edge", weight=0.5),)}, "controls", "divides them by their sum"),
    ("cosmos3", {"controls": (Control(name="depth", weight=1.0),)}, "controls.depth", "cannot make"),
    ("cosmos3", {"controls": (Control(name="edge", weight=1, mask_prompt="car"),)}, "controls.edge", "no masks"),
    ("cosmos3", {"fps": 24.0}, "fps", "input's rate, here 29.97"),
    ("cosmos3", {"fps": 24.5, "video": None, "controls": (GIVEN_DEPTH,)}, "fps", "whole numbers"),
    ("cosmos3", {"fps": "input", "video": None, "controls": (GIVEN_DEPTH,)}, "fps", "whole numbers"),
    (
        "cosmos3",
        {"fps": 30.0, "resolution": "720x1280", "video": None, "controls": (GIVEN_DEPTH,)},
        "resolution",
        "takes the shape of the first control",
    ),
    ("cosmos3", {"resolution": "1280x704"}, "resolution", "no such size"),
    ("cosmos3", {"num_conditional_frames": 2}, "num_conditional_frames", "an overlap of 1"),
    ("cosmos3", {"guided_generation": GUIDED}, "guided_generation_mask", "no guided generation"),
    ("transfer25", {"guided_generation": GUIDED}, "guided_generation_mask", "masks as .mp4 and .npz files"),
    ("cosmos3", {"guidance": 9.0}, "guidance", "0 to 7"),
]
TAKEN = [
    ("transfer1", {}),
    ("transfer1", {"seed": 2**31, "resolution": "1280x704", "num_frames": 93}),
    ("transfer1", {"controls": (Control(name="seg", weight=0.5, mask_prompt="car"),)}),
    ("transfer1", {"job_type": "distilled"}),
    ("transfer25", {}),
    ("transfer25", {"guided_generation": GuidedGeneration(mask="/in/labels.npz")}),
    ("transfer25", {"video": "/in/one.mp4"}),
    ("transfer25", {"video": "/in/one.png", "fps": 8.0}),  # a picture has no rate
    ("transfer25", {"num_frames": 1, "keep_input_resolution": False}),
    ("transfer25", {"guidance": 7.0, "fps": 29.0, "resolution": "832x480", "num_frames": 20}),
    ("transfer25", {"controls": (Control(name="edge", weight=1, mask_prompt="car"), GIVEN_DEPTH)}),
    ("transfer25-distilled", {"num_steps": 1, "guidance": 3.0}),
    ("cosmos3", {}),
    ("cosmos3", {"resolution": "1104x832", "guidance": 2.5, "fps": 29.97, "negative_prompt": ""}),
    ("cosmos3", {"video": None, "controls": (GIVEN_DEPTH,), "fps": 24.0}),
]


def asked(**wanted: object) -> Run:
    settings_ = {name: wanted.pop(name) for name in list(wanted) if name in Sampling.__slots__}
    fields = {"video": "/in/a.mp4", "controls": (Control(name="edge", weight=1.0),)} | wanted
    return Run(id="r", prompt="p", sampling=Sampling(**settings_), **fields)


@pytest.mark.parametrize(("engine", "wanted", "field", "reason"), REFUSED)
def test_unsupported_setting_is_refused_with_the_reason(engine, wanted, field, reason):
    problems = refusals_by_run([asked(**wanted)], traits_of(engine), FACTS)["r"]
    assert [problem.field for problem in problems] == [field]
    assert reason in str(problems[0])
    assert problems[0].remedy


@pytest.mark.parametrize(("engine", "wanted"), TAKEN)
def test_supported_run_is_accepted_also_once_resolved(engine, wanted):
    traits, run = traits_of(engine), asked(**wanted)
    assert refusals_by_run([run], traits, FACTS) == {}
    assert refusals_by_run([resolve(run, traits, FACTS)], traits, FACTS) == {}


@pytest.mark.parametrize(
    ("bucket", "size"),
    [
        ((1280, 704), (3584, 1968)),
        ((704, 1280), (1968, 3584)),
        ((960, 704), (2624, 1920)),
        ((960, 960), (2624, 2624)),
    ],
)
def test_upscaled_sizes_are_those_of_nvidias_table(bucket, size):
    assert upscaled(bucket) == size


def test_transfer25_launches_differ_by_control_set_alone():
    pair = (Control(name="edge", weight=0.4), Control(name="vis", weight=0.6))
    runs = [asked(), asked(seed=7, guidance=5.0, num_steps=10), asked(controls=pair), asked(resolution="480")]
    plan = plan_runs(runs, TRANSFER25_SCRIPT, profile("transfer25", "h100"), facts=FACTS)
    assert [(launch.controls, len(launch.runs)) for launch in plan.launches] == [
        (("edge",), 3),
        (("edge", "vis"), 1),
    ]
    assert {len(batch.runs) for launch in plan.launches for batch in launch.batches} == {1}


def test_cosmos3_has_one_launch_of_batches_of_one():
    runs = [asked(), asked(controls=(GIVEN_DEPTH,)), asked(seed=7)]
    measured = replace(profile("cosmos3", "h100"), measured=50, memory_bytes=2**40, knee_tokens=10**9)
    (launch,) = plan_runs(runs, COSMOS3, measured, facts=FACTS).launches
    assert [len(batch.runs) for batch in launch.batches] == [1, 1, 1]


def test_upscaling_has_its_own_launches_and_batches_of_one():
    ups = [asked(controls=(Control(name="upscale", weight=0.5),), job_type="upscale") for _ in range(3)]
    plan = plan_runs([asked(), *ups], TRANSFER1_DRIVEN, BATCHES_PAY, facts=FACTS)
    sizes = {launch.controls: [len(batch.runs) for batch in launch.batches] for launch in plan.launches}
    assert sizes == {("edge",): [1], ("upscale",): [1, 1, 1]}


@pytest.mark.parametrize(
    ("map_seconds", "sizes"),
    [
        (2.0, [[8]]),  # one batch of maps costs 16 s, a second batch 60 s
        (50.0, [[4, 4]]),  # maps for eight cost 400 s
    ],
)
def test_different_weights_share_a_batch_as_maps_only_where_that_is_cheaper(map_seconds, sizes):
    runs = [asked(controls=(Control(name="edge", weight=weight),)) for weight in (0.2, 0.7) for _ in range(4)]
    cost = replace(BATCHES_PAY, weight_map=map_seconds)
    plan = plan_runs(runs, TRANSFER1_DRIVEN, cost, facts=FACTS)
    assert [[len(batch.runs) for batch in launch.batches] for launch in plan.launches] == sizes
    work = sum(batch.seconds for launch in plan.launches for batch in launch.batches)
    alone = plan_runs(runs, TRANSFER1_DRIVEN, replace(cost, batch=0, weight_map=0), facts=FACTS)
    extra = work - sum(batch.seconds for launch in alone.launches for batch in launch.batches)
    assert extra == pytest.approx(60 + 8 * map_seconds if len(sizes[0]) == 1 else 120, abs=1)


def test_groups_that_do_not_divide_evenly_get_the_cheapest_size():
    """Six, nine and nine: batches of six leave two remainders, and one of them needs a second model load."""
    runs = [asked(video=video) for video, count in VIDEOS for _ in range(count)]
    for load, sizes in ((500.0, [[3] * 8]), (1.0, [[6, 6, 6, 3], [3]])):
        plan = plan_runs(runs, TRANSFER1_DRIVEN, replace(BATCHES_PAY, load=load), facts=FACTS)
        assert [[len(batch.runs) for batch in launch.batches] for launch in plan.launches] == sizes


CONTROLS = st.sampled_from((("edge",), ("depth",), ("edge", "vis"), ("depth", "edge", "seg", "vis")))
COSTS = st.sampled_from((profile("transfer1", "h100"), FREE, BATCHES_PAY, replace(BATCHES_PAY, weight_map=0.1)))


@st.composite
def run_lists(draw):
    runs = []
    for index in range(draw(st.integers(1, 40))):
        controls = tuple(
            Control(
                name=name,
                weight=draw(st.sampled_from((0.5, 1.0))),
                preset=draw(st.sampled_from(("low", "medium"))),
                mask_prompt="car" if name == "seg" and draw(st.booleans()) else None,
            )
            for name in draw(CONTROLS)
        )
        video = draw(st.sampled_from(("/in/a.mp4", "/in/up.mp4", "/in/long.mp4")))
        sampling = Sampling(seed=draw(st.sampled_from((1, 2))), fps=24)
        priority = draw(st.sampled_from((0, 0, 10, 100)))
        runs.append(
            Run(id=f"r{index}", prompt="p", video=video, controls=controls, sampling=sampling, priority=priority)
        )
    return runs


@settings(deadline=None, max_examples=60)
@given(runs=run_lists(), cost=COSTS)
def test_cutting_a_launch_by_its_batch_size_never_mixes_keys(runs, cost):
    """As Transfer1 does: it cuts its file into tensor batches by count alone."""
    plan = plan_runs(runs, TRANSFER1_DRIVEN, cost, facts=FACTS)

    assert sorted(run.id for launch in plan.launches for run in launch.runs) == sorted(run.id for run in runs)
    for launch in plan.launches:
        counted = [launch.runs[i : i + launch.batch_size] for i in range(0, len(launch.runs), launch.batch_size)]
        assert counted == [batch.runs for batch in launch.batches]
        assert all(run.signature == launch.controls for run in launch.runs)
        assert len({run.sampling.seed for run in launch.runs}) == 1
        for tensor_batch in counted:
            assert len({(FACTS[run.video].width, FACTS[run.video].frames) for run in tensor_batch}) == 1


@settings(deadline=None, max_examples=30)
@given(runs=run_lists())
def test_without_maps_no_tensor_batch_mixes_weights(runs):
    plan = plan_runs(runs, TRANSFER1_DRIVEN, replace(BATCHES_PAY, weight_map=1e6), facts=FACTS)
    for batch in (batch for launch in plan.launches for batch in launch.batches):
        assert len({tuple((c.name, c.weight, is_map(c)) for c in run.active) for run in batch.runs}) == 1
