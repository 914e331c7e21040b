"""Cosmos 3 transfer samples."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from cosmos_batch.formats import read_files
from cosmos_batch.run import Control, Cosmos3Settings, Run, as_dict
from tests.support.format_files import Write, lines_and_fields

NVIDIAS = Path(__file__).parents[2] / "data" / "cosmos3"


def sample(**fields: Any) -> dict[str, Any]:
    return {"name": "car", "prompt": "snow", "vision_path": "street.mp4", "edge": {}} | fields


def test_sample_gets_nvidias_defaults(write: Write) -> None:
    (run,) = read_files([write("car.json", sample())]).runs
    assert (run.id, run.prompt) == ("car", "snow")
    assert run.controls == (Control(name="edge", weight=1.0),)
    sampling = run.sampling
    assert (sampling.guidance, sampling.num_steps, sampling.seed, sampling.fps) == (3.0, None, None, None)
    assert sampling.resolution is None  # the model's own


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
        ({"resolution": "704"}, "resolution"),
        ({"control_guidance": 2.0}, "control_guidance"),
        ({"num_video_frames_per_chunk": 0}, "num_video_frames_per_chunk"),
        ({"shift": 5.0}, "shift"),
        ({"show_input": True}, "show_input"),
        ({"num_outputs": 2}, "num_outputs"),
        ({"num_frames": 0}, "num_frames"),
        ({"model_mode": "reasoner"}, "model_mode"),
        ({"negative_metadata_mode": "some"}, "negative_metadata_mode"),
        ({"negative_prompt_file": "street.mp4"}, "negative_prompt_file"),
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


def test_picture_has_one_frame(write: Write) -> None:
    lines = [sample(name="a", model_mode="image2image", resolution="768"), sample(name="b", num_frames=1)]
    first, second = read_files([write("car.jsonl", lines)]).runs
    assert (first.sampling.num_frames, first.sampling.resolution) == (1, "1360x768")
    assert second.sampling.num_frames == 1


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, None),
        ({"num_video_frames_per_chunk": 93, "negative_metadata_mode": "same"}, None),
        ({"num_video_frames_per_chunk": 121}, Cosmos3Settings(chunk_frames=121)),
        # Cosmos 3 keeps the metadata in the negative prompt unless it is told not to.
        ({"negative_metadata_mode": "none"}, None),
        ({"negative_prompt_keep_metadata": False}, Cosmos3Settings(negative_metadata="none")),
        ({"negative_metadata_mode": "inverse"}, Cosmos3Settings(negative_metadata="inverse")),
    ],
)
def test_settings_of_cosmos_3_alone(
    write: Write, fields: dict[str, Any], settings: Cosmos3Settings | None
) -> None:
    (run,) = read_files([write("car.json", sample(**fields))]).runs
    assert run.cosmos3 == settings


def test_run_without_such_settings_has_the_json_and_the_fingerprint_of_a_run_that_never_had_any(
    write: Write,
) -> None:
    plain, own = read_files(
        [write("car.jsonl", [sample(name="a"), sample(name="b", num_video_frames_per_chunk=121)])]
    ).runs
    assert "cosmos3" not in as_dict(plain)
    assert as_dict(own)["cosmos3"] == {"chunk_frames": 121, "negative_metadata": None}
    assert plain.fingerprint != own.fingerprint
    assert TypeAdapter(Run).validate_python(as_dict(own)) == own


@pytest.mark.parametrize("text", ['{"a": "ü",\r\n  "b": 1}\n', '{ "a": "\\ud83d" }', '{"a": 1, "a": 2}'])
def test_json_caption_is_passed_through_byte_for_byte(write: Write, text: str) -> None:
    write("caption.json", text)
    write("negative.JSON", text)
    fields = {"prompt": None, "prompt_path": "caption.json", "negative_prompt_file": "negative.JSON"}
    (run,) = read_files([write("car.json", sample(**fields))]).runs
    assert run.prompt == run.sampling.negative_prompt == text


@pytest.mark.parametrize("text", ["words", "[1, 2]", '{"cut": ', "\ufeff{}", "[" * 100_000, "7" * 5000])
def test_caption_that_is_no_json_object_is_a_problem(write: Write, text: str) -> None:
    write("caption.json", text)
    reading = read_files([write("car.json", sample(prompt=None, prompt_path="caption.json"))])
    assert [problem.field for problem in reading.problems] == ["prompt_path"]
    assert "is a file without a JSON object" in str(reading.problems[0])


def test_negative_prompt_is_given_once(write: Write) -> None:
    write("negative.json", '{"a":  1}')
    lines = [
        sample(name="same", negative_prompt='{"a": 1}', negative_prompt_file="negative.json"),
        sample(name="other", negative_prompt="words", negative_prompt_file="negative.json"),
    ]
    reading = read_files([write("car.jsonl", lines)])
    (run,) = reading.runs
    assert run.sampling.negative_prompt == '{"a":  1}'
    assert lines_and_fields(reading.problems) == [(2, "negative_prompt_file")]


@pytest.mark.parametrize(
    ("fields", "resolution"),
    [({}, None), ({"resolution": "480"}, "480"), ({"aspect_ratio": "9,16"}, "720x1280")],
)
def test_without_an_input_video_the_control_gives_the_shape(
    write: Write, fields: dict[str, Any], resolution: str | None
) -> None:
    line = sample(vision_path=None, edge={"control_path": "depth.mp4"}, model_mode="video2video") | fields
    (run,) = read_files([write("car.json", line)]).runs
    assert run.sampling.resolution == resolution


@pytest.mark.parametrize(("hint", "fps"), [("edge", 24.0), ("wsm", 10.0)])
def test_without_an_input_video_the_rate_is_cosmos_3s(write: Write, hint: str, fps: float) -> None:
    line = {"name": "a", "prompt": "x", hint: {"control_path": "depth.mp4"}, "shift": 10.0}
    (run,) = read_files([write("car.json", line)]).runs
    assert run.sampling.fps == fps


def test_weights_whose_sum_is_no_number_are_divided_too(write: Write) -> None:
    (run,) = read_files([write("car.json", sample(edge={"weight": 1e308}, blur={"weight": 1e308}))]).runs
    assert [control.weight for control in run.controls] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_mode", "video2video"),
        ("aspect_ratio", "16,9"),
        ("shift", 10.0),
        ("control_guidance", 1.5),
        ("share_vision_temporal_positions", True),
        ("emphasize_control_in_prompt", True),
        ("num_first_chunk_conditional_frames", 0),
        ("negative_prompt_file", "caption.json"),
        ("negative_metadata_mode", "none"),
        ("num_outputs", 1),
        ("num_frames", 121),
    ],
)
def test_any_key_of_cosmos_3_alone_decides_the_format(write: Write, key: str, value: object) -> None:
    write("caption.json", "{}")
    plain = {"name": "a", "prompt": "x", "edge": {"control_path": "depth.mp4"}}
    # The other lines may be of Transfer2.5 too, and are more.
    lines = [plain | {"name": "b"}, plain | {"name": "c"}, plain | {key: value}]
    reading = read_files([write("car.jsonl", lines)])
    assert reading.problems == ()
    assert len(reading.runs) == 3


def test_where_no_key_decides_the_problem_says_what_would(write: Write) -> None:
    line = {"name": "a", "prompt": "x", "edge": {"control_path": "depth.mp4"}}
    (problem,) = read_files([write("car.json", line)]).problems
    assert problem.field == "video_path"
    assert 'if this is a sample of Cosmos 3, say so by "model_mode": "video2video"' in problem.remedy
    (other,) = read_files([write("car.json", line | {"keep_input_resolution": True})]).problems
    assert "Cosmos 3" not in other.remedy


@pytest.mark.parametrize(
    ("name", "chunk", "fps", "guidance"),
    [
        ("blur", 121, 30.0, 3.0),
        ("depth", 121, 30.0, 3.0),
        ("edge", 121, 30.0, 3.0),
        ("seg", 121, 30.0, 3.0),
        ("wsm", None, 10.0, 1.0),
    ],
)
def test_nvidias_own_specs_are_read_as_they_are(
    tmp_path: Path, name: str, chunk: int | None, fps: float, guidance: float
) -> None:
    shutil.copytree(NVIDIAS, tmp_path / "transfer")
    (tmp_path / "transfer" / "assets" / name / f"control_{name}.mp4").write_bytes(b"not empty")

    reading = read_files([tmp_path / "transfer" / "specs" / f"{name}.json"])

    assert (reading.problems, reading.warnings) == ((), ())
    (run,) = reading.runs
    assert run.id == f"transfer_{name}"
    assert run.prompt.encode() == (NVIDIAS / "assets" / name / "prompt.json").read_bytes()
    negative = run.sampling.negative_prompt
    assert negative is not None
    assert negative.encode() == (NVIDIAS / "assets" / "negative_prompt.json").read_bytes()
    assert run.cosmos3 == Cosmos3Settings(chunk_frames=chunk, negative_metadata="none")
    sampling = run.sampling
    assert (sampling.fps, sampling.num_steps, sampling.seed) == (fps, 50, 2026)
    assert (sampling.guidance, sampling.num_frames) == (guidance, None)
    assert sampling.resolution == ("1104x832" if name == "blur" else "1280x720")
    assert run.signature == ("vis" if name == "blur" else name,)


def test_yaml_is_refused_with_a_remedy(write: Write) -> None:
    reading = read_files([write("car.yaml", "name: car\nvision_path: street.mp4\nedge: {}\n")])
    (problem,) = reading.problems
    assert "looks like YAML; convert it to JSON" in str(problem)
