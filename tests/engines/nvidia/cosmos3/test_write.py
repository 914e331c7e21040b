"""The files of Cosmos 3: aspect ratio, rate and control names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.errors import PlanError
from cosmos_batch.formats import read_files
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.run import Control
from tests.support.clips import clip
from tests.support.nvidia_files import fingerprints, planned, read_back, records, run_of

NVIDIAS = Path(__file__).parents[3] / "data" / "cosmos3"


def test_aspect_ratio_is_written(tmp_path: Path) -> None:
    """The script's default is 16:9, regardless of the input."""
    upright = str(clip(tmp_path / "upright.mp4", width=36, height=64))
    depth = Control(name="depth", weight=0.25, video=upright)
    run = replace(run_of("a", upright), controls=(depth, Control(name="vis", weight=0.75, preset="high")))
    (launch,) = planned([run], "cosmos3").launches

    written = write_cosmos3(launch, tmp_path)

    (record,) = records(written)
    assert (record["resolution"], record["aspect_ratio"]) == ("720", "9,16")
    assert record["depth"] == {"weight": 0.25, "control_path": upright}
    assert record["blur"] == {"weight": 0.75, "preset_blur_strength": "high"}
    assert (record["control_guidance"], record["num_video_frames_per_chunk"]) == (1.0, 93)
    (sample,) = written.samples
    assert sample.video == written.outputs / "a" / "vision.mp4"
    assert sample.controls["vis"] == written.outputs / "a" / "control_blur.mp4"
    assert sample.expected == VideoInfo(720, 1280, 6, 8.0)


def test_rate_is_written_without_an_input_video(tmp_path: Path, street: str) -> None:
    wsm = (Control(name="wsm", weight=1.0, video=str(clip(tmp_path / "wsm.mp4"))),)
    run = replace(run_of("a", street), controls=wsm, video=None)
    (launch,) = planned([run], "cosmos3").launches

    (record,) = records(write_cosmos3(launch, tmp_path))

    assert "vision_path" not in record
    assert record["fps"] == 8
    assert (record["control_guidance"], record["num_video_frames_per_chunk"]) == (3.0, 101)


@pytest.mark.parametrize(
    ("name", "size", "frames", "fps"),
    [
        ("blur", (88, 66), 121, 30.0),
        ("depth", (96, 54), 121, 29.97),
        ("edge", (96, 54), 121, 30.0),
        ("seg", (96, 54), 121, 30.0),
        ("wsm", (96, 54), 100, 10.0),  # NVIDIA's own control has a frame less than its spec's num_frames
    ],
)
def test_nvidias_specs_are_written_back_as_they_were(
    tmp_path: Path, name: str, size: tuple[int, int], frames: int, fps: float
) -> None:
    shutil.copytree(NVIDIAS, tmp_path / "transfer")
    folder = tmp_path / "transfer" / "specs"
    width, height = size
    clip(folder.parent / "assets" / name / f"control_{name}.mp4", frames, width, height, fps)
    spec = json.loads((folder / f"{name}.json").read_text())
    (run,) = read_files([folder / f"{name}.json"]).runs
    (launch,) = planned([run], "cosmos3").launches

    written = write_cosmos3(launch, tmp_path)

    (record,) = records(written)
    caption = json.loads((folder / spec.pop("prompt_path")).read_text())
    negative = folder / spec.pop("negative_prompt_file")
    control = spec.pop(name)
    assert spec.pop("num_frames") in (121, 101)  # it limits nothing
    assert {key: record[key] for key in spec} == spec
    assert record["max_frames"] == frames
    assert json.loads(record["prompt"]) == caption
    # As NVIDIA's reader of the file gives it; the file beside it is the same byte for byte.
    assert record["negative_prompt"] == json.dumps(json.loads(negative.read_text()))
    assert Path(record["negative_prompt_file"]).read_bytes() == negative.read_bytes()
    assert Path(record["negative_prompt_file"]) in written.inputs
    assert Path(record[name]["control_path"]).samefile(folder / control["control_path"])
    (sample,) = written.samples
    width, height = (1104, 832) if name == "blur" else (1280, 720)
    assert sample.expected == VideoInfo(width, height, frames, spec["fps"])
    assert fingerprints(read_back(written, "cosmos3")) == fingerprints([sample.run])


def test_shared_negative_prompt_is_one_file(tmp_path: Path, street: str) -> None:
    runs = [run_of(name, street, edge=1.0) for name in ("a", "b")]
    runs = [replace(run, sampling=replace(run.sampling, negative_prompt='{"bad":  "all"}')) for run in runs]
    (launch,) = planned(runs, "cosmos3").launches

    written = write_cosmos3(launch, tmp_path)

    first, second = records(written)
    assert first["negative_prompt"] == '{"bad": "all"}'
    assert first["negative_prompt_file"] == second["negative_prompt_file"]
    assert len(written.inputs) == 2


def test_single_frame_is_written_as_a_picture(tmp_path: Path, street: str) -> None:
    run = run_of("a", street, edge=1.0)
    run = replace(run, sampling=replace(run.sampling, num_frames=1))
    (launch,) = planned([run], "cosmos3").launches

    written = write_cosmos3(launch, tmp_path)

    (record,) = records(written)
    assert (record["model_mode"], record["num_frames"], record["max_frames"]) == ("image2image", 1, 1)
    (sample,) = written.samples
    assert sample.video.name == "vision.jpg"
    assert sample.controls["edge"].name == "control_edge.jpg"


def test_controls_of_many_shapes_get_that_of_the_first_in_nvidias_order(tmp_path: Path) -> None:
    upright = str(clip(tmp_path / "upright.mp4", width=36, height=64))
    wide = str(clip(tmp_path / "wide.mp4", width=64, height=36))
    controls = (
        Control(name="depth", weight=0.5, video=wide),
        Control(name="vis", weight=0.5, video=upright),  # blur comes before depth
    )
    run = replace(run_of("a", upright), controls=controls, video=None)
    (launch,) = planned([run], "cosmos3").launches

    (record,) = records(write_cosmos3(launch, tmp_path))

    assert (record["resolution"], record["aspect_ratio"]) == ("720", "9,16")


def test_file_name_that_is_a_pattern_is_refused(tmp_path: Path, street: str) -> None:
    (launch,) = planned([run_of("a", street, edge=1.0)], "cosmos3").launches
    with pytest.raises(PlanError, match="takes '\\*' in a file's name for a pattern"):
        write_cosmos3(launch, tmp_path / "a*b")
