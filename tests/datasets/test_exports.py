"""WebDataset shards and HDF5 demonstrations of finished runs, opened by the packages that read them."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cosmos_batch.datasets.finished_runs import finished_folders
from cosmos_batch.datasets.robomimic import demo_of, write_demos
from cosmos_batch.datasets.shards import write_shards
from cosmos_batch.errors import InputError
from cosmos_batch.media.encode import write_video

FRAMES = 3


def finish(out: Path, run_id: str, *, light: int = 200, accepted: bool = True, frames: int = FRAMES) -> Path:
    """A finished run as an output folder holds it."""
    folder = out / run_id
    folder.mkdir(parents=True)
    write_video(folder / "output.mp4", np.full((frames, 16, 32, 3), light, np.uint8), 8.0, lossless=True)
    (folder / "control_edge.mp4").write_bytes(b"edge")
    digest = hashlib.sha256((folder / "output.mp4").read_bytes()).hexdigest()
    record = {
        "id": run_id,
        "key": "k",
        "run": {"prompt": f"street {run_id}"},
        "output": {"frames": frames},
        "outputs": {"output.mp4": {"sha256": digest}},
        "scores": {"edge_f1": 0.5},
        "acceptance": {"accepted": accepted},
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def demos(path: Path) -> Path:
    """Two demonstrations of three steps, as Isaac Lab records them."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = 2 * FRAMES
        data.attrs["env_args"] = '{"env_name": "Stack"}'
        for number in range(2):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = FRAMES
            demo["actions"] = np.full((FRAMES, 7), number, np.float32)
            for camera in ("table_cam", "wrist_cam"):
                demo[f"obs/{camera}"] = np.full((FRAMES, 8, 16, 3), number, np.uint8)
    return path


def read_shard(file: Path) -> list[dict[str, Any]]:
    """The samples of a shard, as webdataset reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that it imports
        from webdataset.tariterators import group_by_keys, tar_file_expander
    with file.open("rb") as stream:
        return list(group_by_keys(tar_file_expander([{"url": str(file), "stream": stream}])))


def test_shards_are_read_by_webdataset(tmp_path: Path) -> None:
    for run_id in ("a.1", "b", "c"):
        finish(tmp_path / "out", run_id)
    finish(tmp_path / "out", "bad", accepted=False)
    files = write_shards(finished_folders(tmp_path / "out", accepted_only=True), tmp_path / "shards", samples=2)
    assert [file.name for file in files] == ["shard-000000.tar", "shard-000001.tar"]

    samples = [sample for file in files for sample in read_shard(file)]
    assert [sample["__key__"] for sample in samples] == ["a_1", "b", "c"]
    assert samples[0]["txt"] == b"street a.1"
    assert json.loads(samples[0]["json"])["id"] == "a.1"
    assert samples[0]["mp4"] == (tmp_path / "out" / "a.1" / "output.mp4").read_bytes()
    assert samples[0]["control_edge.mp4"] == b"edge"


def test_shards_are_not_mixed_with_other_files(tmp_path: Path) -> None:
    for run_id in ("a.b", "a_b"):
        finish(tmp_path / "out", run_id)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "notes.txt").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_shards(finished_folders(tmp_path / "out"), tmp_path / "shards")
    assert [problem.message for problem in caught.value.problems] == [
        "gives the key a_b of a sample, as a.b does",
        "is not empty",
    ]


def test_demonstrations_get_copies_with_another_camera(tmp_path: Path) -> None:
    finish(tmp_path / "out", "demo_1__rain__s2")
    finish(tmp_path / "out", "elsewhere")
    runs = finished_folders(tmp_path / "out")
    made = write_demos(runs, demos(tmp_path / "demos.hdf5"), "table_cam", tmp_path / "new.hdf5")
    assert [(demo.name, demo.source) for demo in made] == [("demo_2", "demo_1")]
    with h5py.File(tmp_path / "new.hdf5") as file:
        data = file["data"]
        assert sorted(data) == ["demo_0", "demo_1", "demo_2"]
        assert (data.attrs["total"], data.attrs["env_args"]) == (9, '{"env_name": "Stack"}')
        demo = data["demo_2"]
        assert demo.attrs["num_samples"] == FRAMES
        assert json.loads(demo.attrs["cosmos_batch"])["prompt"] == "street demo_1__rain__s2"
        assert demo["actions"][:].tolist() == data["demo_1/actions"][:].tolist()
        assert demo["obs/table_cam"].shape == (FRAMES, 8, 16, 3)
        assert np.abs(demo["obs/table_cam"][:].astype(int) - 200).max() <= 2
        assert demo["obs/wrist_cam"][:].max() == 1


def test_all_problems_of_demonstrations_are_reported(tmp_path: Path) -> None:
    for run_id, frames in (("demo_0", FRAMES + 1), ("demo_7", FRAMES)):
        finish(tmp_path / "out", run_id, frames=frames)
    file = demos(tmp_path / "demos.hdf5")
    with pytest.raises(InputError) as caught:
        write_demos(finished_folders(tmp_path / "out"), file, "table_cam", tmp_path / "new.hdf5")
    assert [problem.field for problem in caught.value.problems] == ["output.frames", "data/demo_7"]
    with pytest.raises(InputError, match="name a camera of it: table_cam, wrist_cam"):
        write_demos(finished_folders(tmp_path / "out", ["demo_0"]), file, "front", tmp_path / "new.hdf5")
    assert not (tmp_path / "new.hdf5").exists()


def test_an_output_that_was_changed_is_not_exported(tmp_path: Path) -> None:
    (finish(tmp_path / "out", "a") / "output.mp4").write_bytes(b"other")
    with pytest.raises(InputError, match="not as it was left"):
        finished_folders(tmp_path / "out")
    with pytest.raises(InputError, match="holds no finished run"):
        finished_folders(tmp_path / "nothing")
    with pytest.raises(InputError, match="has no finished run of this id"):
        finished_folders(tmp_path / "out", ["b"])


@pytest.mark.parametrize(
    ("run_id", "demo"),
    [("demo_3", "demo_3"), ("x__demo_12__rain", "demo_12"), ("demonstration", None), ("mydemo_1", None)],
)
def test_an_id_names_a_demonstration(run_id: str, demo: str | None) -> None:
    assert demo_of(run_id) == demo
