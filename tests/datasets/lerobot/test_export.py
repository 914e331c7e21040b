"""A copy of a dataset has one camera replaced, and all else as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cosmos_batch.datasets.lerobot.export import export
from cosmos_batch.datasets.lerobot.made_runs import find_variations
from cosmos_batch.errors import InputError
from cosmos_batch.formats.lerobot.layout import read_dataset
from cosmos_batch.media.video import Frames
from tests.support.lerobot_data import (
    FPS,
    LENGTHS,
    TOP,
    WRIST,
    episode_frames,
    output_frames,
    write_dataset,
    write_outputs,
)
from tests.support.lerobot_reader import load

VERSIONS = ["v2.1", "v3.0"]


@pytest.fixture(params=VERSIONS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A dataset of three episodes."""
    return write_dataset(tmp_path / "source", request.param)


def copy_of(source: Path, *, skip_missing: bool = False) -> Path:
    """The dataset with the top camera replaced by the runs in `out` beside it."""
    dataset = read_dataset(source, TOP)
    found = find_variations(dataset, source.with_name("out"), skip_missing=skip_missing)
    export(dataset, found, source.with_name("new"))
    return source.with_name("new")


def near(one: Frames, other: Frames) -> bool:
    """Whether pictures are alike but for the losses of encoding."""
    return bool(np.abs(one.astype(int) - other).mean() < 6)


def test_replaced_camera_shows_the_runs_at_the_times_of_the_data(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "")
    old, new = load(source), load(copy_of(source))
    assert [len(episode.rows) for episode in new] == list(LENGTHS)
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        assert near(after.frames[TOP], output_frames(index))
        assert not near(after.frames[TOP], before.frames[TOP])
        assert (after.frames[WRIST] == before.frames[WRIST]).all()
        assert after.rows == before.rows
        kept = {name: value for name, value in before.metadata.items() if TOP not in name}
        assert kept.items() <= after.metadata.items()


def test_files_of_the_data_and_of_other_cameras_stay_byte_for_byte(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "")
    new = copy_of(source)
    old_files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert {path.relative_to(new) for path in new.rglob("*") if path.is_file()} == old_files
    same = {path for path in old_files if (source / path).read_bytes() == (new / path).read_bytes()}
    changed = {path for path in old_files - same if TOP not in path.parts}
    assert {path.parts[0] for path in changed} == {"meta"}
    assert {path.name for path in changed} <= {
        *("info.json", "stats.json", "episodes.jsonl", "episodes_stats.jsonl", "file-000.parquet")
    }


def test_metadata_says_what_made_each_episode(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "__snow")
    made = load(copy_of(source))[1].metadata
    assert made["cosmos/scores"] == '{"edge_f1": 0.75}'
    facts = {
        name: made[f"cosmos/{name}"] for name in ("run_id", "prompt", "seed", "variation", "engine", "camera")
    }
    assert facts == {
        "run_id": "episode_000001__snow",
        "prompt": "place the cube, snow",
        "seed": 3,
        "variation": "snow",
        "engine": "transfer",
        "camera": TOP,
    }


def test_info_and_statistics_of_the_camera_are_those_of_the_new_videos(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "")
    new = copy_of(source)
    feature = json.loads((new / "meta/info.json").read_text())["features"][TOP]
    assert feature["info"]["video.codec"] == "h264"
    assert feature["info"]["video.fps"] == FPS
    if (new / "meta/stats.json").exists():
        mean = json.loads((new / "meta/stats.json").read_text())[TOP]["mean"]
        expected = np.concatenate([output_frames(index) for index in range(3)]).mean((0, 1, 2)) / 255
    else:
        line = (new / "meta/episodes_stats.jsonl").read_text().splitlines()[2]
        mean, expected = json.loads(line)["stats"][TOP]["mean"], output_frames(2).mean((0, 1, 2)) / 255
    assert np.asarray(mean).shape == (3, 1, 1)
    assert np.abs(np.ravel(mean) - expected).max() < 0.02


def test_each_variation_is_a_dataset_of_its_own(source: Path) -> None:
    write_outputs(write_outputs(source.with_name("out"), source, "__snow"), source, "__rain")
    new = copy_of(source)
    assert sorted(path.name for path in new.iterdir()) == ["rain", "snow"]
    assert [episode.metadata["cosmos/variation"] for episode in load(new / "rain")] == ["rain"] * 3


def test_episodes_that_are_left_out_leave_no_gap(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "", episodes=(0, 2))
    new = copy_of(source, skip_missing=True)
    first, second = load(new)
    assert [episode.metadata["cosmos/source_episode"] for episode in (first, second)] == [0, 2]
    assert near(second.frames[TOP], output_frames(2))
    assert near(second.frames[WRIST], episode_frames(2, WRIST))
    assert [row["action"] for row in second.rows] == [row["action"] for row in load(source)[2].rows]
    info = json.loads((new / "meta/info.json").read_text())
    assert info["splits"] == {"train": "0:1", "test": "1:2"}


def test_statistics_of_numbers_follow_the_episodes_that_are_kept(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "", episodes=(1, 2))
    new = copy_of(source, skip_missing=True)
    if (new / "meta/stats.json").exists():
        index = json.loads((new / "meta/stats.json").read_text())["index"]
        assert (index["min"], index["max"], index["mean"], index["count"]) == ([0.0], [12.0], [6.0], [13])
        row = pq.read_table(new / "meta/episodes/chunk-000/file-000.parquet").to_pylist()[1]
        lowest, highest = row["stats/index/min"], row["stats/index/max"]
    else:
        stats = json.loads((new / "meta/episodes_stats.jsonl").read_text().splitlines()[1])["stats"]["index"]
        lowest, highest = stats["min"], stats["max"]
    assert (lowest, highest) == ([7], [12])


def test_a_folder_that_exists_is_refused_and_stays(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "")
    (copy_of(source) / "mine").touch()
    with pytest.raises(InputError, match=r"-o = .*new.*: exists; name a new folder"):
        copy_of(source)
    assert (source.with_name("new") / "mine").exists()


def test_nothing_is_left_where_a_copy_fails(source: Path) -> None:
    write_outputs(source.with_name("out"), source, "")
    dataset = read_dataset(source, TOP)
    found = find_variations(dataset, source.with_name("out"))
    found[0].made[1].video.write_bytes(b"no video")
    with pytest.raises(Exception, match=r"episode_000001/output\.mp4"):
        export(dataset, found, source.with_name("new"))
    assert {path.name for path in source.parent.iterdir()} == {"source", "out"}
