"""Cosmos-Transfer2.5 specs and JSONL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.formats.common import STOCK_NEGATIVE_PROMPT
from cosmos_batch.run import Control, GuidedGeneration, Sampling
from tests.support.format_files import Write


def sample(**changes: Any) -> dict[str, Any]:
    """The least that a sample can say."""
    return {"name": "car", "prompt": "night", "video_path": "street.mp4", "edge": {}} | changes


def test_full_sample_is_read_field_by_field(write: Write, tmp_path: Path) -> None:
    content = sample(
        negative_prompt="blurry",
        seed=3,
        guidance=5,
        resolution="480p",
        max_frames=50,
        num_steps=12,
        edge={"control_weight": 0.4, "preset_edge_threshold": "high", "mask_prompt": "car"},
        vis={"preset_blur_strength": "low", "mask_path": "depth.mp4"},
        depth={"control_path": "depth.mp4", "control_weight": 0.0},
        seg={"control_prompt": "car building tree"},
    )

    (run,) = read_files([write("car_spec.json", content)]).runs

    depth = str(tmp_path / "depth.mp4")
    assert (run.id, run.prompt, run.video) == ("car", "night", str(tmp_path / "street.mp4"))
    assert run.controls == (
        Control(name="edge", weight=0.4, preset="high", mask_prompt="car"),
        Control(name="vis", weight=1.0, preset="low", mask=depth),
        Control(name="depth", weight=0.0, video=depth),
        Control(name="seg", weight=1.0, prompt="car building tree"),
    )
    assert run.sampling == Sampling(
        num_steps=12,
        guidance=5.0,
        seed=3,
        num_frames=50,
        resolution="480p",
        negative_prompt="blurry",
        keep_input_resolution=True,
    )


def test_missing_settings_get_nvidias_defaults(write: Write) -> None:
    (run,) = read_files([write("car_spec.json", sample(seg={}))]).runs

    assert run.sampling == Sampling(
        num_steps=35,
        guidance=3.0,
        seed=2025,
        negative_prompt=STOCK_NEGATIVE_PROMPT,
        keep_input_resolution=True,
    )
    assert run.controls == (Control(name="edge", weight=1.0), Control(name="seg", weight=1.0, prompt="night"))


def test_jsonl_has_a_sample_per_line(write: Write) -> None:
    reading = read_files([write("cars.jsonl", [sample(name=name) for name in ("a", "b", "c")])])

    assert [run.id for run in reading.runs] == ["a", "b", "c"]


def test_prompt_may_be_in_a_file(write: Write) -> None:
    write("specs/prompt.txt", "  the street in snow ❄\n")
    content = {"name": "car", "prompt_path": "prompt.txt", "video_path": "../street.mp4", "edge": {}}

    (run,) = read_files([write("specs/car.json", content)]).runs

    assert run.prompt == "the street in snow ❄"


BAD = [
    (sample(name=None), "name", "its output is filed under it"),
    (sample(name="a/b"), "name", "is not of the expected form"),
    (sample(video_path=None), "video_path", "give the input video"),
    (sample(video_path="absent.mp4"), "video_path", "does not exist"),
    (sample(prompt=None), "prompt", "is missing"),
    (sample(prompt=None, prompt_path="absent.txt"), "prompt_path", "does not exist"),
    (sample(prompt=None, prompt_path="blank.txt"), "prompt_path", "is a file without text"),
    (sample(prompt=None, prompt_path="latin.txt"), "prompt_path", "is not UTF-8 text"),
    (sample(prompt=None, prompt_path="long.txt"), "prompt_path", "is too large for a prompt"),
    (sample(prompt_path="prompt.txt"), "prompt_path", "keep one of prompt and prompt_path"),
    (sample(edge=None), "", "has no active control"),
    (sample(edge={"control_weight": 1.2}), "edge.control_weight", "give a number from 0 to 1"),
    (sample(edge={"control_path": "absent.mp4"}), "edge.control_path", "does not exist"),
    (sample(vis={"mask_path": "absent.mp4"}), "vis.mask_path", "does not exist"),
    (sample(vis={"mask_path": "depth.mp4", "mask_prompt": "car"}), "vis.mask_prompt", "keep one of"),
    # NVIDIA's code drops unknown keys inside a control.
    (sample(depth={"preset_edge_threshold": "low"}), "depth.preset_edge_threshold", "is not a known key"),
    (sample(edge={"contol_weight": 0.5}), "edge.contol_weight", "did you mean 'control_weight'?"),
    (sample(blur={}), "blur", "is not a known key"),
    (sample(guidance=3.5), "guidance", "give a whole number from 0 to 7"),
    (sample(guidance=8), "guidance", "give a whole number from 0 to 7"),
    (sample(resolution="700"), "resolution", "give one of 1080, 1024, 720"),
    # What a run cannot say.
    (sample(sigma_max="70"), "sigma_max", "it has no effect in Transfer2.5"),
    (sample(guided_generation_mask="absent.mp4"), "guided_generation_mask", "does not exist"),
    (
        sample(guided_generation_step_threshold=-1),
        "guided_generation_step_threshold",
        "give a whole number from 0 to 1000000",
    ),
    (sample(num_conditional_frames=3), "num_conditional_frames", "give a whole number from 0 to 2"),
    (sample(show_input=True), "show_input", "is not supported"),
    (sample(keep_input_resolution="no"), "keep_input_resolution", "give true or false"),
]


@pytest.mark.parametrize(("content", "field", "words"), BAD)
def test_bad_sample_is_a_problem(write: Write, content: Any, field: str, words: str) -> None:
    write("prompt.txt", "snow")
    write("blank.txt", " \n")
    write("latin.txt", b"caf\xe9")
    write("long.txt", "x" * 100_001)

    reading = read_files([write("car.json", content)])

    assert reading.runs == ()
    (problem,) = reading.problems
    assert problem.field == field
    assert words in str(problem)


def test_conditional_frames_and_guided_generation_are_read(write: Write, tmp_path: Path) -> None:
    write("labels.npz", b"PK")
    content = sample(
        num_conditional_frames=2,
        guided_generation_mask="labels.npz",
        guided_generation_step_threshold=10,
        guided_generation_foreground_labels=[3, 7],
    )

    reading = read_files([write("car.json", content)])

    assert (reading.problems, reading.warnings) == ((), ())
    (run,) = reading.runs
    assert run.sampling.num_conditional_frames == 2
    assert run.guided_generation == GuidedGeneration(
        mask=str(tmp_path / "labels.npz"), step_threshold=10, foreground_labels=(3, 7)
    )


def test_step_threshold_has_the_default_of_nvidia(write: Write) -> None:
    (run,) = read_files([write("car.json", sample(guided_generation_mask="depth.mp4"))]).runs
    assert run.guided_generation is not None
    assert run.guided_generation.step_threshold == 25


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"guided_generation_step_threshold": 9}, "guided_generation_step_threshold", "no effect without a mask"),
        ({"guided_generation_foreground_labels": [1]}, "guided_generation_foreground_labels", "without a mask"),
        (
            {"guided_generation_mask": "depth.mp4", "guided_generation_foreground_labels": [1]},
            "guided_generation_foreground_labels",
            "has no labels",
        ),
    ],
)
def test_setting_of_guided_generation_that_nvidia_ignores_is_a_warning(
    write: Write, settings: dict[str, Any], field: str, words: str
) -> None:
    reading = read_files([write("car.json", sample(**settings))])

    assert (len(reading.runs), reading.problems) == (1, ())
    (warning,) = reading.warnings
    assert (warning.level, warning.field) == ("warning", field)
    assert words in warning.message


def test_unsupported_settings_are_accepted_with_their_default(write: Write) -> None:
    content = sample(guided_generation_step_threshold=25, num_video_frames_per_chunk=93, sigma_max=None)

    assert read_files([write("car.json", content)]).problems == ()


@pytest.mark.parametrize(("given", "kept"), [({}, True), (None, True), (True, True), (False, False)])
def test_output_keeps_the_size_of_the_input_unless_the_sample_says_otherwise(
    write: Write, given: Any, kept: bool
) -> None:
    fields = {} if given == {} else {"keep_input_resolution": given}
    reading = read_files([write("car.json", sample(**fields))])
    assert (reading.problems, reading.warnings) == ((), ())
    assert reading.runs[0].sampling.keep_input_resolution is kept


def test_chunks_of_one_frame_make_a_picture(write: Write) -> None:
    """NVIDIA's code makes the first chunk alone of them, whatever max_frames."""
    reading = read_files([write("car.json", sample(num_video_frames_per_chunk=1))])
    assert (reading.runs[0].sampling.num_frames, reading.warnings) == (1, ())
    longer = read_files([write("car.json", sample(num_video_frames_per_chunk=1, max_frames=5))])
    assert longer.runs[0].sampling.num_frames == 1
    (warning,) = longer.warnings
    assert (warning.field, warning.found) == ("num_video_frames_per_chunk", "1")
    assert "max_frames is 5" in warning.message


@pytest.mark.parametrize("chunk", [True, 2, "1", 1.5])
def test_other_chunks_are_a_problem(write: Write, chunk: Any) -> None:
    (problem,) = read_files([write("car.json", sample(num_video_frames_per_chunk=chunk))]).problems
    assert problem.field == "num_video_frames_per_chunk"


def test_name_of_another_format_is_answered_with_the_own_one(write: Write) -> None:
    record = sample(edge={"input_control": "depth.mp4"}, num_frames=5)
    problems = read_files([write("car.json", record)]).problems
    remedies = {problem.field: problem.remedy for problem in problems}
    assert remedies == {
        "edge.input_control": "did you mean 'control_path'?",
        "num_frames": "did you mean 'max_frames'?",
    }
