"""The files of Transfer2.5: a call per control set, and names without collisions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import GuidedGeneration
from tests.support.nvidia_files import planned, records, run_of


def test_each_control_set_has_its_own_file(tmp_path: Path, street: str) -> None:
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


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_conditional_frames_reach_the_script(tmp_path: Path, street: str, frames: int) -> None:
    run = run_of("a", street, edge=1.0)
    run = replace(run, sampling=replace(run.sampling, num_conditional_frames=frames))
    (launch,) = planned([run], "transfer25").launches
    assert records(write_transfer25(launch, tmp_path))[0]["num_conditional_frames"] == frames


def test_guided_generation_reaches_the_script(tmp_path: Path, street: str) -> None:
    np.savez(tmp_path / "mask.npz", np.ones((6, 4, 4), np.uint8))
    own = GuidedGeneration(mask=str(tmp_path / "mask.npz"), step_threshold=9, foreground_labels=(1, 4))
    run = replace(run_of("a", street, edge=1.0), guided_generation=own)
    (launch,) = planned([run], "transfer25").launches
    files = write_transfer25(launch, tmp_path)
    (record,) = records(files)
    assert {name: value for name, value in record.items() if name.startswith("guided")} == {
        "guided_generation_mask": str(tmp_path / "mask.npz"),
        "guided_generation_step_threshold": 9,
        "guided_generation_foreground_labels": [1, 4],
    }
    assert tmp_path / "mask.npz" in files.inputs


def test_launch_of_mixed_control_sets_is_refused(tmp_path: Path, street: str) -> None:
    runs = [run_of("a", street, edge=1.0), run_of("b", street, depth=1.0)]
    launches = planned(runs, "transfer25").launches
    batches = tuple(batch for launch in launches for batch in launch.batches)
    with pytest.raises(PlanError, match="2 control sets"):
        write_transfer25(Launch(0, ("depth", "edge"), batches, 1.0, ""), tmp_path)


def test_no_output_overwrites_a_control_video_of_another_run(tmp_path: Path, street: str) -> None:
    ids = ["x", "x_control_edge", "run-x_control_edge", "x_mask_edge_control_vis", "y"]
    (launch,) = planned([run_of(id_, street, edge=1.0) for id_ in ids], "transfer25").launches

    samples = write_transfer25(launch, tmp_path).samples

    names = [sample.name for sample in samples]
    assert [sample.run.id for sample in samples] == ids
    assert (names[0], names[2], names[4]) == ("x", "run-x_control_edge", "y")
    files = [path for sample in samples for path in (sample.video, *sample.controls.values())]
    assert len(files) == len(set(files))
