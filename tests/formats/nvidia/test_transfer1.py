"""Cosmos-Transfer1: NVIDIA's own sample specs, batches over a base, and what its script would pass over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.formats.common import STOCK_NEGATIVE_PROMPT
from cosmos_batch.run import Control, Sampling
from tests.support.format_files import Write, lines_and_fields

SAMPLES = Path(__file__).parents[2] / "data" / "transfer1"

BASE: dict[str, Any] = {
    "prompt": "unused in a batch",
    "input_video_path": "dummy.mp4",
    "seed": 5,
    "canny_threshold": "low",
    "seg": {"control_weight": "0.3", "input_control": "depth.mp4"},
    "edge": {"control_weight": 1.5},
}
LINE = {"visual_input": "street.mp4", "prompt": "the street in snow"}


def spec(**changes: Any) -> dict[str, Any]:
    """A spec that can be used as it is."""
    return {"prompt": "night", "input_video_path": "street.mp4", "edge": {"control_weight": 1.0}} | changes


def test_nvidias_sample_specs_have_no_problems() -> None:
    reading = read_files(sorted(SAMPLES.glob("*.json")), check_inputs=False)

    assert reading.problems == ()
    assert {run.id.removeprefix("inference_cosmos_transfer1_"): run.signature for run in reading.runs} == {
        "multi_control": ("depth", "edge", "vis"),
        "spatiotemporal_weights_auto": ("depth", "edge", "seg", "vis"),
        "uniform_weights": ("depth", "edge", "seg", "vis"),
        "inference_upscaler": ("upscale",),
        "robot_sample_spec": ("seg",),
    }


def test_spec_gets_the_defaults_of_nvidias_command_line() -> None:
    (run,) = read_files([SAMPLES / "inference_cosmos_transfer1_multi_control.json"], check_inputs=False).runs

    assert run.sampling == Sampling(
        num_steps=35,
        guidance=5.0,
        sigma_max=70.0,
        seed=1,
        fps=24.0,
        negative_prompt=STOCK_NEGATIVE_PROMPT,
    )
    assert [(control.name, control.weight) for control in run.controls] == [
        ("vis", 0.3),
        ("edge", 0.7),
        ("depth", 0.1),
    ]


def test_weight_prompt_becomes_a_mask_prompt_of_any_control() -> None:
    name = "inference_cosmos_transfer1_spatiotemporal_weights_auto.json"

    (run,) = read_files([SAMPLES / name], check_inputs=False).runs

    assert {control.name: control.mask_prompt for control in run.controls} == {
        "vis": "robotic arms . gloves",
        "edge": "robotic arms . gloves",
        "depth": None,
        "seg": None,
    }
    # What is segmented where nothing is named: the first 128 words of the prompt.
    segmented = next(control.prompt for control in run.controls if control.name == "seg")
    assert segmented == " ".join(run.prompt.split()[:128])


def test_upscaler_spec_is_an_upscale_job_with_nvidias_default_prompt() -> None:
    (run,) = read_files([SAMPLES / "inference_upscaler.json"], check_inputs=False).runs

    assert run.job_type == "upscale"
    assert run.prompt.startswith("The video captures a stunning")


def test_batch_overrides_its_base_key_by_key(write: Write, tmp_path: Path) -> None:
    base = write("base.json", BASE)
    overrides = {"seg": {"input_control": None, "input_control_prompt": "cars"}, "edge": {"control_weight": 0}}
    batch = write("night.jsonl", [LINE, LINE | {"control_overrides": overrides}])

    reading = read_files([batch, base])

    assert reading.problems == ()
    first, second = reading.runs
    assert (first.id, second.id) == ("night-1", "night-2")
    assert first.video == second.video == str(tmp_path / "street.mp4")
    assert first.controls == (
        Control(name="seg", weight=0.3, video=str(tmp_path / "depth.mp4")),
        Control(name="edge", weight=1.5, preset="low"),
    )
    assert second.controls == (
        Control(name="seg", weight=0.3, prompt="cars"),
        Control(name="edge", weight=0.0, preset="low"),
    )
    assert first.sampling is second.sampling
    assert first.sampling.seed == 5


def test_batch_alone_finds_its_spec_by_name(write: Write) -> None:
    write("batch_0001_spec.json", BASE)

    reading = read_files([write("batch_0001.jsonl", [LINE])])

    assert ([run.id for run in reading.runs], reading.problems) == (["batch_0001-1"], ())


def test_each_batch_uses_the_spec_of_its_name_and_other_specs_stay_runs(write: Write) -> None:
    files = [
        write("b_1_spec.json", BASE | {"seed": 1}),
        write("b_2_spec.json", BASE | {"seed": 2}),
        write("b_1.jsonl", [LINE]),
        write("b_2.jsonl", [LINE]),
        write("single.json", spec(seed=3)),
    ]

    runs = read_files(files).runs

    assert {run.id: run.sampling.seed for run in runs} == {"b_1-1": 1, "b_2-1": 2, "single": 3}


def test_prompts_alone_are_a_batch_if_the_spec_gives_every_control_video(write: Write) -> None:
    base = write("base.json", {"depth": {"input_control": "depth.mp4"}})

    reading = read_files([write("prompts.jsonl", [{"prompt": "snow"}, {"prompt": "rain"}]), base])

    assert reading.problems == ()
    assert [(run.prompt, run.video) for run in reading.runs] == [("snow", None), ("rain", None)]


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([], "pass its controlnet spec too, or put it beside the batch as day_spec.json"),
        (["a.json", "b.json"], "name its spec day_spec.json, or pass the two by themselves"),
    ],
)
def test_batch_with_an_ambiguous_spec_is_a_problem(write: Write, specs: list[str], words: str) -> None:
    files = [write(name, spec()) for name in specs]

    reading = read_files([*files, write("day.jsonl", [LINE])])

    assert len(reading.runs) == len(specs)
    assert words in str(reading.problems[0])


def test_bad_base_is_reported_once_with_each_of_its_batches(write: Write) -> None:
    base = write("base.json", BASE | {"guidance": "5"})
    batches = [write(name, [LINE, LINE]) for name in ("a.jsonl", "b.jsonl")]

    reading = read_files([base, *batches])

    assert reading.runs == ()
    assert [(problem.file, problem.field) for problem in reading.problems] == [
        (str(base), "guidance"),
        (str(batches[0]), ""),
        (str(batches[1]), ""),
    ]


BAD_SPECS = [
    (spec(edge={"control_weight": -0.5}), "edge.control_weight", "give a number of at least 0"),
    (spec(edge={"control_weight": "strong"}), "edge.control_weight", "is not a number"),
    (spec(edge={"control_weight": None}), "edge.control_weight", "is not a number"),
    (spec(edge={"control_weight": "nan"}), "edge.control_weight", "is not a finite number"),
    (spec(edge={"control_weight": "maps/edge.pt"}), "edge.control_weight", "a mask video as mask_path"),
    (spec(edge={"control_wieght": 1}), "edge.control_wieght", "did you mean 'control_weight'?"),
    (spec(edge={"input_control_prompt": "cars"}), "edge.input_control_prompt", "is not a known key"),
    (spec(edge={"ckpt_path": "my.pt"}), "edge.ckpt_path", "the engine chooses the checkpoint"),
    (spec(edge={"sigma_max": 50}), "edge.sigma_max", "inside one it has no effect"),
    (spec(edge={"control_weight": 0}), "", "has no active control"),
    (spec(egde={"control_weight": 1}), "egde", "did you mean 'edge'?"),
    (spec(lidar={"control_weight": 1}), "lidar.input_control", "lidar is not made from the input video"),
    (spec(input_video_path=""), "input_video_path", "which edge is to be made from"),
    (spec(num_steps="35"), "num_steps", "without quotes"),
    (spec(blur_strength="mid"), "blur_strength", "give one of very_low"),
    (spec(regional_prompts=[{"prompt": "a", "mask_prompt": "b"}]), "regional_prompts", "is not supported"),
    (spec(use_distilled="yes"), "use_distilled", "give true or false"),
    (spec(num_input_frames=True), "num_input_frames", "1 is the only choice"),
    (spec(batch_input_path="batch.jsonl"), "batch_input_path", "name the batch file beside the spec"),
]


@pytest.mark.parametrize(("content", "field", "words"), BAD_SPECS)
def test_bad_spec_is_a_problem(write: Write, content: Any, field: str, words: str) -> None:
    reading = read_files([write("spec.json", content)])

    assert reading.runs == ()
    (problem,) = reading.problems
    assert problem.field == field
    assert words in str(problem)


BAD_LINES = [
    # Settings that NVIDIA's script would silently ignore.
    (LINE | {"seed": 3}, "seed", "is not a known key"),
    (LINE | {"control_overrides": {"depth": {}}}, "control_overrides.depth", "add depth to the spec"),
    (
        LINE | {"control_overrides": {"seg": {"ckpt_path": "a.pt"}}},
        "control_overrides.seg.ckpt_path",
        "is not supported",
    ),
    (
        LINE | {"control_overrides": {"seg": {"input_contorl": "a.mp4"}}},
        "control_overrides.seg.input_contorl",
        "did you mean 'input_control'?",
    ),
    # What would come to light in the middle of the run.
    (
        LINE | {"control_overrides": {"edge": {"control_weight": -1}}},
        "control_overrides.edge.control_weight",
        "is too small",
    ),
    (
        LINE | {"control_overrides": {"seg": {"input_control": "absent.mp4"}}},
        "control_overrides.seg.input_control",
        "does not exist",
    ),
    (LINE | {"control_overrides": None}, "control_overrides", "is not an object"),
    (LINE | {"visual_input": "absent.mp4"}, "visual_input", "does not exist"),
    ({"prompt": "snow", "control_overrides": {}}, "visual_input", "which edge is to be made from"),
    ({"visual_input": "street.mp4"}, "prompt", "is missing"),
]


@pytest.mark.parametrize(("line", "field", "words"), BAD_LINES)
def test_bad_line_of_a_batch_is_a_problem(write: Write, line: Any, field: str, words: str) -> None:
    write("day_spec.json", BASE)

    reading = read_files([write("day.jsonl", [LINE, line, LINE])])

    assert [run.id for run in reading.runs] == ["day-1", "day-3"]
    assert lines_and_fields(reading.problems) == [(2, field)]
    assert words in str(reading.problems[0])


def test_paths_may_start_from_the_working_directory(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("assets/depth.mp4", "beside the spec")
    path = write("assets/spec.json", spec(depth={"input_control": "depth.mp4"}))
    monkeypatch.chdir(tmp_path)

    (run,) = read_files([path]).runs

    assert run.video == str(tmp_path / "street.mp4")
    # A file beside the spec comes first.
    assert run.controls[1].video == str(tmp_path / "assets" / "depth.mp4")


def test_file_in_neither_folder_is_reported_with_both(write: Write, tmp_path: Path) -> None:
    (problem,) = read_files([write("spec.json", spec(input_video_path="absent.mp4"))]).problems

    assert problem.remedy.endswith(f"looked in {tmp_path} and {tmp_path / 'elsewhere'}")


def test_settings_of_nvidias_process_are_accepted(write: Write) -> None:
    content = spec(num_gpus=8, offload_text_encoder_model=True, video_save_folder="out", num_video_frames=121)

    assert read_files([write("spec.json", json.dumps(content))]).problems == ()
