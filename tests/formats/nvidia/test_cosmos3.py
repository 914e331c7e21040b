"""Cosmos 3 transfer samples."""

from __future__ import annotations

from typing import Any

import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.run import Control
from tests.support.format_files import Write, lines_and_fields


def sample(**fields: Any) -> dict[str, Any]:
    return {"name": "car", "prompt": "snow", "vision_path": "street.mp4", "edge": {}} | fields


def test_sample_gets_nvidias_defaults(write: Write) -> None:
    (run,) = read_files([write("car.json", sample())]).runs
    assert (run.id, run.prompt) == ("car", "snow")
    assert run.controls == (Control(name="edge", weight=1.0),)
    sampling = run.sampling
    assert (sampling.guidance, sampling.num_steps, sampling.seed, sampling.fps) == (3.0, None, None, None)
    assert sampling.resolution == "1280x720"  # the default of Cosmos 3 is 16:9


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "size"),
    [
        ("720", "9,16", "720x1280"),
        ("720", "4,3", "1104x832"),
        ("480", "3,4", "544x736"),
        ("480", "1,1", "640x640"),
        ("256", None, "320x192"),
    ],
)
def test_resolution_and_aspect_ratio_give_the_size(
    write: Write, resolution: str, aspect_ratio: str | None, size: str
) -> None:
    (run,) = read_files([write("car.json", sample(resolution=resolution, aspect_ratio=aspect_ratio))]).runs
    assert run.sampling.resolution == size


def test_weights_are_divided_by_their_sum_as_cosmos_3_does(write: Write) -> None:
    lines = [
        sample(name="one", edge={"weight": 0.3, "preset_edge_threshold": "low"}),
        sample(name="two", edge={}, blur={"preset_blur_strength": "high"}),
        sample(name="exact", edge={"weight": 0.1}, depth={"weight": 0.9, "control_path": "depth.mp4"}),
    ]
    one, two, exact = read_files([write("car.jsonl", lines)]).runs
    assert one.controls == (Control(name="edge", weight=1.0, preset="low"),)
    assert two.controls == (Control(name="edge", weight=0.5), Control(name="vis", weight=0.5, preset="high"))
    assert [control.weight for control in exact.controls] == [0.1, 0.9]
    assert [run.sampling.guidance for run in (one, two, exact)] == [3.0, 6.0, 6.0]


def test_control_videos_need_no_input_video(write: Write) -> None:
    line = {"prompt": "snow", "wsm": {"control_path": "depth.mp4"}, "fps": 10, "max_frames": 50}
    (run,) = read_files([write("car.jsonl", [line])]).runs
    assert (run.id, run.video, run.sampling.guidance) == ("car_0", None, 1.0)
    assert (run.sampling.fps, run.sampling.num_frames) == (10.0, 50)


def test_prompt_is_read_from_a_file(write: Write) -> None:
    write("prompt.txt", " rain\n")
    (run,) = read_files([write("car.json", sample(prompt=None, prompt_path="prompt.txt"))]).runs
    assert run.prompt == "rain"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"depth": {}}, "depth.control_path"),
        ({"vision_path": None}, "vision_path"),
        ({"vision_path": "absent.mp4"}, "vision_path"),
        ({"guidance": 8.0}, "guidance"),
        ({"guidance": "3"}, "guidance"),
        ({"fps": 29.97}, "fps"),
        ({"resolution": "768"}, "resolution"),
        ({"control_guidance": 2.0}, "control_guidance"),
        ({"num_video_frames_per_chunk": 101}, "num_video_frames_per_chunk"),
        ({"shift": 5.0}, "shift"),
        ({"show_input": True}, "show_input"),
        ({"num_outputs": 2}, "num_outputs"),
        ({"num_frames": 93}, "num_frames"),
        ({"model_mode": "text2video"}, "model_mode"),
        ({"negative_prompt_file": "neg.json"}, "negative_prompt_file"),
        ({"blur": {"preset_blur_strength": "none"}}, "blur.preset_blur_strength"),
        ({"edge": {"weight": -1}}, "edge.weight"),
        ({"edge": {"mask_path": "depth.mp4"}}, "edge.mask_path"),
        ({"prompt_path": "prompt.json"}, "prompt_path"),
        ({"name": "../up"}, "name"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_bad_sample_is_a_problem(write: Write, wrong: dict[str, Any], field: str) -> None:
    reading = read_files([write("car.json", sample(**wrong))])
    assert reading.runs == ()
    assert {name for _, name in lines_and_fields(reading.problems)} == {field}


def test_settings_with_their_default_are_accepted(write: Write) -> None:
    spelled = {
        "control_guidance": 1.5,
        "num_video_frames_per_chunk": 93,
        "shift": 10.0,
        "num_conditional_frames": 1,
        "show_input": False,
        "num_outputs": 1,
        "model_mode": "video2video",
    }
    assert len(read_files([write("car.json", sample(**spelled))]).runs) == 1


def test_yaml_is_refused_with_a_remedy(write: Write) -> None:
    reading = read_files([write("car.yaml", "name: car\nvision_path: street.mp4\nedge: {}\n")])
    (problem,) = reading.problems
    assert "looks like YAML; convert it to JSON" in str(problem)
