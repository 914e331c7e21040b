"""What is written for Transfer2.5 and for Cosmos 3, and whole plans."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.engines.nvidia.emit import emit
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles
from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25
from cosmos_batch.errors import InputError, PlanError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Control, Run, Sampling
from tests.support.clips import clip
from tests.support.nvidia_files import planned


@pytest.fixture
def street(tmp_path: Path) -> str:
    return str(clip(tmp_path / "street.mp4", width=65, height=48, fps=29.97))


def run_of(id_: str, video: str, **weights: float) -> Run:
    controls = tuple(Control(name=name, weight=weight) for name, weight in weights.items())  # type: ignore[arg-type]
    return Run(id=id_, prompt=f"prompt {id_}", video=video, controls=controls, sampling=Sampling(seed=3))


def records(written: LaunchFiles) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.files[0].read_text().splitlines()]


def test_transfer25_has_a_file_for_each_control_set(tmp_path: Path, street: str) -> None:
    runs = [run_of("a", street, edge=1.0), run_of("b", street, edge=0.5, seg=0.5), run_of("c", street, edge=0.3)]

    first, second = (write_transfer25(launch, tmp_path) for launch in planned(runs, "transfer25").launches)

    assert [sorted(record) for record in records(first)] == [sorted(records(first)[0])] * 2
    assert records(second) == [
        {
            "name": "b",
            "prompt": "prompt b",
            "negative_prompt": records(first)[0]["negative_prompt"],
            "video_path": street,
            "seed": 3,
            "guidance": 3,
            "resolution": "720",
            "max_frames": 6,
            "num_steps": 35,
            "num_video_frames_per_chunk": 93,
            "num_conditional_frames": 1,
            "show_control_condition": False,
            "show_input": False,
            "keep_input_resolution": True,
            "edge": {"control_weight": 0.5, "preset_edge_threshold": "medium"},
            "seg": {"control_weight": 0.5, "control_prompt": "prompt b"},
        }
    ]
    (sample,) = second.samples
    assert sample.expected == VideoInfo(64, 48, 6, 29.0)  # even sides, and whole frames per second
    assert second.arguments == ("-i", str(second.files[0]), "-o", str(second.outputs))
    assert sample.video == tmp_path / "outputs" / "batch_0002" / "b.mp4"
    assert sample.controls["seg"] == tmp_path / "outputs" / "batch_0002" / "b_control_seg.mp4"


def test_a_call_of_mixed_control_sets_is_refused(tmp_path: Path, street: str) -> None:
    runs = [run_of("a", street, edge=1.0), run_of("b", street, depth=1.0)]
    launches = planned(runs, "transfer25").launches
    batches = tuple(batch for launch in launches for batch in launch.batches)
    with pytest.raises(PlanError, match="2 control sets"):
        write_transfer25(Launch(0, ("depth", "edge"), batches, 1.0, ""), tmp_path)


def test_no_output_falls_upon_the_control_video_of_another(tmp_path: Path, street: str) -> None:
    ids = ["x", "x_control_edge", "run-x_control_edge", "x_mask_edge_control_vis", "y"]
    (launch,) = planned([run_of(id_, street, edge=1.0) for id_ in ids], "transfer25").launches

    samples = write_transfer25(launch, tmp_path).samples

    names = [sample.name for sample in samples]
    assert [sample.run.id for sample in samples] == ids
    assert (names[0], names[2], names[4]) == ("x", "run-x_control_edge", "y")
    files = [path for sample in samples for path in (sample.video, *sample.controls.values())]
    assert len(files) == len(set(files))


def test_cosmos3_is_told_the_aspect_ratio(tmp_path: Path) -> None:
    """It takes 16:9 where a sample says nothing, whatever its input."""
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


def test_cosmos3_without_an_input_video_is_told_the_rate(tmp_path: Path, street: str) -> None:
    wsm = (Control(name="wsm", weight=1.0, video=str(clip(tmp_path / "wsm.mp4"))),)
    run = replace(run_of("a", street), controls=wsm, video=None)
    (launch,) = planned([run], "cosmos3").launches

    (record,) = records(write_cosmos3(launch, tmp_path))

    assert "vision_path" not in record
    assert record["fps"] == 8
    assert (record["control_guidance"], record["num_video_frames_per_chunk"]) == (3.0, 101)


def test_a_file_name_that_is_a_pattern_is_refused_for_cosmos3(tmp_path: Path, street: str) -> None:
    (launch,) = planned([run_of("a", street, edge=1.0)], "cosmos3").launches
    with pytest.raises(PlanError, match="takes '\\*' in a file's name for a pattern"):
        write_cosmos3(launch, tmp_path / "a*b")


def test_a_plan_is_written_with_its_commands(tmp_path: Path, street: str) -> None:
    plan = planned([run_of("a", street, edge=1.0), run_of("b", street, depth=1.0)], "transfer25")
    folder = tmp_path / "it's $(here)"

    written = emit(plan, folder, cache=ControlCache(tmp_path / "cache"))

    index = json.loads((folder / "launches.json").read_text())
    assert [[run["id"] for run in launch["runs"]] for launch in index["launches"]] == [["b"], ["a"]]
    commands = [shlex.split(line) for line in (folder / "commands.txt").read_text().splitlines()]
    assert commands == [launch["command"] for launch in index["launches"]]
    assert commands[0][:3] == ["python", "examples/inference.py", "-i"]
    assert commands[0][3] == str(written[0].files[0])


def test_a_folder_of_an_earlier_plan_is_left_alone(tmp_path: Path, street: str) -> None:
    plan = planned([run_of("a", street, edge=1.0)], "cosmos3")
    cache = ControlCache(tmp_path / "cache")
    emit(plan, tmp_path / "out", cache=cache)
    with pytest.raises(InputError, match="holds the files of an earlier plan"):
        emit(plan, tmp_path / "out", cache=cache)


def test_a_plan_for_the_engine_in_this_process_has_no_files(tmp_path: Path, street: str) -> None:
    plan = replace(planned([run_of("a", street, edge=1.0)], "cosmos3"), engine="pocket")
    with pytest.raises(PlanError, match="engine 'pocket' reads no files"):
        emit(plan, tmp_path, cache=ControlCache(tmp_path / "cache"))
