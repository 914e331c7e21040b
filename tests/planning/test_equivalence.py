"""Groups of runs that are equal to the planner, and runs that an engine refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.equivalence import groups_of, refusals, refusals_by_run, work_of
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.run import Control, GuidedGeneration
from tests.support.runs import MakeRun

TRANSFER_COST = profile("transfer", "h100")


def test_runs_that_differ_in_nothing_the_planner_uses_are_one_group(make_run: MakeRun) -> None:
    runs = [
        make_run("edge"),
        make_run("edge", prompt="another", video="/in/b.mp4", seed=42),
        make_run("vis"),
        make_run("edge", priority=100),
        make_run("edge"),
    ]
    groups = groups_of(runs, TRANSFER25, {})

    assert [(group.places, group.priority) for group in groups] == [([0, 1, 4], 0), ([2], 0), ([3], 100)]
    assert groups[0].run_class is groups[2].run_class
    assert [group.first for group in groups] == [0, 2, 3]


def test_all_refusals_are_given_at_once(make_run: MakeRun) -> None:
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


@pytest.mark.parametrize(("overlap", "refused"), [(None, False), (1, False), (2, True)])
def test_engine_of_fixed_chunks_refuses_other_conditional_frames(
    make_run: MakeRun, overlap: int | None, refused: bool
) -> None:
    run = make_run("edge", num_conditional_frames=overlap)
    assert [problem.field for problem in refusals([run], TRANSFER1)] == (
        [f"{run.id}: num_conditional_frames"] if refused else []
    )
    assert refusals([run], TRANSFER25) == ()


def test_engine_without_guided_generation_refuses_its_mask(make_run: MakeRun) -> None:
    run = make_run("edge", guided_generation=GuidedGeneration(mask="/in/mask.mp4"))
    (problem,) = refusals([make_run("edge"), run], TRANSFER1)
    assert problem.field == f"{run.id}: guided_generation_mask"
    assert "transfer1 has no guided generation" in problem.message


def test_an_input_video_that_is_encoded_counts_like_a_control_video(make_run: MakeRun) -> None:
    """From noise, the input is only looked at; below `PURE_NOISE` or guided by a mask, its latents are used."""
    mask = GuidedGeneration(mask="/in/mask.mp4")
    noise, lower = make_run("edge", sigma_max=80.0), make_run("edge", sigma_max=79.0)
    guided = replace(noise, guided_generation=mask)
    both, twice = replace(lower, guided_generation=mask), make_run("edge", "vis", sigma_max=80.0)
    runs = [replace(run, id=f"r{n}") for n, run in enumerate((noise, lower, guided, both, twice))]
    works = [group.run_class.work for group in groups_of(runs, TRANSFER25, {})]
    pixels = works[0].pixels
    assert [work.encoded_pixels for work in works] == [pixels, 2 * pixels, 2 * pixels, 2 * pixels, 2 * pixels]
    assert work_of(lower, TRANSFER25.shape(lower, None), TRANSFER25) == works[1]
    (group,) = groups_of([make_run("edge")], TRANSFER25, {})  # the model's own level
    assert not group.run_class.work.source

    cost = replace(profile("transfer", "h100"), control_pixel=1e-6)
    seconds = [plan_runs([run], TRANSFER25, cost, facts={}).launches[0].batches[0].seconds for run in runs[:3]]
    assert [each - seconds[0] for each in seconds[1:]] == pytest.approx([pixels * 1e-6] * 2)


def test_transfer1_encodes_the_input_of_a_run_below_pure_noise(make_run: MakeRun) -> None:
    runs = [make_run("edge", sigma_max=level) for level in (70.0, 80.0)]
    works = [work_of(run, TRANSFER1.shape(run, None), TRANSFER1) for run in runs]
    assert [work.source for work in works] == [True, False]


def test_runs_of_other_conditional_frames_have_other_costs(make_run: MakeRun) -> None:
    """186 frames are 2 chunks where none is shared, else 3."""
    runs = [make_run("edge", num_frames=186, num_conditional_frames=n, num_steps=10) for n in (0, 1, 2)]
    groups = groups_of(runs, TRANSFER25, {})
    assert [group.run_class.work.steps for group in groups] == [20, 30, 30]


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
def test_settings_that_transfer1_would_drop_or_fail_on_are_refused(
    make_run: MakeRun, fields: dict[str, object], field: str
) -> None:
    fields = {"controls": (Control(name="edge", weight=1),)} | fields
    (problem,) = refusals([make_run(id="a", **fields)], TRANSFER1)
    assert problem.field == f"a: {field}"


def test_transfer1_takes_settings_equal_to_what_it_does_itself(make_run: MakeRun) -> None:
    facts = {"/in/a.mp4": VideoInfo(640, 480, 50, 24)}
    run = make_run("edge", resolution="960x704", num_frames=50, fps="input")
    assert refusals([run], TRANSFER1, facts) == ()
    assert (
        refusals([make_run("edge", resolution="1280x704", id="a")], TRANSFER1, facts)[0].field == "a: resolution"
    )


def test_transfer1_refuses_a_single_image(make_run: MakeRun) -> None:
    assert refusals([make_run("edge")], TRANSFER1, {"/in/a.mp4": VideoInfo(640, 480, 1, 24)})
