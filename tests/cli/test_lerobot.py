"""`import-lerobot` writes runs of episodes, `export-lerobot` a dataset of their videos."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.formats.span_input import input_text
from cosmos_batch.media.video import read_frames
from tests.support.lerobot_data import LENGTHS, TOP, WRIST, episode_frames, info, write_dataset, write_outputs
from tests.support.lerobot_reader import load


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_runs_of_episodes_are_valid_and_show_each_episode_whole(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs = write_dataset(tmp_path / "source", version), tmp_path / "runs.jsonl"
    options = ("--prompt", "{task}, snow", "--prompt", "rain", "--seed", "1", "--seed", "2", "--episodes", "1:")
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", runs, *options) == 0
    records = [json.loads(line) for line in runs.read_text().splitlines()]
    assert [record["id"] for record in records[:4]] == [
        *("episode_000001__p1__s1", "episode_000001__p1__s2"),
        *("episode_000001__p2__s1", "episode_000001__p2__s2"),
    ]
    assert len(records) == 8
    assert [record["prompt"] for record in records[1:3]] == ["place the cube, snow", "rain"]
    for record, index in ((records[0], 1), (records[4], 2)):
        shown = read_frames(str(input_text(record["inputs"]["video"])))
        assert len(shown) == LENGTHS[index]
        assert np.abs(shown.astype(int) - episode_frames(index, TOP)).mean() < 4
    assert call(monkeypatch, "check", runs) == 0


def test_without_prompts_the_tasks_are_the_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, runs = write_dataset(tmp_path / "source", "v2.1"), tmp_path / "runs.jsonl"
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", runs, "--weight", "vis=0.5") == 0
    records = [json.loads(line) for line in runs.read_text().splitlines()]
    assert [(record["id"], record["prompt"]) for record in records][:2] == [
        ("episode_000000", "pick the cube"),
        ("episode_000001", "place the cube"),
    ]
    assert records[0]["execution_config"]["weights"] == {"vis": 0.5}


def test_prompts_of_a_file_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, runs = write_dataset(tmp_path / "source", "v2.1"), tmp_path / "runs.jsonl"
    prompts = tmp_path / "prompts.json"
    prompts.write_text('{"snow": "{task} in snow"}')
    options = ("--prompts", prompts, "--episodes", "0")
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", runs, *options) == 0
    record = json.loads(runs.read_text())
    assert (record["id"], record["prompt"]) == ("episode_000000__snow", "pick the cube in snow")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--camera", "front"), "--camera = front: is no camera of the dataset; name one of "),
        (("--camera", "action"), "--camera = action: is kept as float32, not as videos; name one of "),
        (("--camera", TOP, "--episodes", "2:9"), "--episodes = 2:9: is no range of the 3 episodes; give numbers"),
        (("--camera", TOP, "--weight", "edges=1"), "--weight = edges=1: is no control with a weight above 0"),
    ],
)
def test_wrong_options_of_an_import_are_named(
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write_dataset(tmp_path / "source", "v2.1")
    assert call(monkeypatch, "import-lerobot", root, "-o", tmp_path / "runs.jsonl", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs.jsonl").exists()


def test_exported_dataset_is_made_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_dataset(tmp_path / "source", "v3.0")
    out, new = write_outputs(tmp_path / "out", root, "__snow", episodes=(0, 1)), tmp_path / "new"
    command = ("export-lerobot", out, "--dataset", root, "--camera", TOP, "-o", new)
    assert call(monkeypatch, *command) == 2
    assert "episode_000002 of the variation snow has no finished run" in capsys.readouterr().err
    assert call(monkeypatch, *command, "--skip-missing") == 0
    assert capsys.readouterr().out == f"{new}: snow: 2 episodes, 1 left out\n"
    assert [set(episode.frames) for episode in load(new)] == [{TOP, WRIST}] * 2


def test_all_faults_of_a_dataset_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_dataset(tmp_path / "source", "v2.1")
    lines = [{"episode_index": 0, "length": 0}, {"episode_index": 1, "length": 7}, {"length": 6}]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", tmp_path / "runs.jsonl") == 2
    errors = capsys.readouterr().err.splitlines()
    assert sorted(line.partition(".jsonl:")[2].partition(":")[0] for line in errors) == ["1", "3"]


@pytest.mark.parametrize(
    ("indices", "message"),
    [((0, 2, 3), "has no episode 1"), ((0, 1, 1), "has two episodes 1"), ((), "the dataset has no episode")],
)
def test_episodes_without_a_number_of_their_own_are_refused(
    indices: tuple[int, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write_dataset(tmp_path / "source", "v2.1")
    lines = [json.dumps({"episode_index": index, "length": 5, "tasks": ["a"]}) + "\n" for index in indices]
    (root / "meta/episodes.jsonl").write_text("".join(lines))
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", tmp_path / "runs.jsonl") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("codebase_version", "v2.0", 'codebase_version = "v2.0": is not a supported layout; convert it'),
        ("video_path", "../{video_key}.mp4", "is no path inside the dataset; give a relative path"),
        ("video_path", "{camera}.mp4", "is no template of a path; use {episode_chunk}"),
        ("fps", 0, "fps = 0: is too small"),
    ],
)
def test_an_info_that_cannot_be_used_is_named(
    field: str,
    value: object,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write_dataset(tmp_path / "source", "v2.1")
    (root / "meta/info.json").write_text(json.dumps(info("v2.1") | {field: value}))
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", tmp_path / "runs.jsonl") == 2
    assert message in capsys.readouterr().err


def test_a_video_that_is_shorter_than_its_episodes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_dataset(tmp_path / "source", "v2.1")
    lines = [{"episode_index": index, "length": 50, "tasks": ["a"]} for index in range(3)]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert call(monkeypatch, "import-lerobot", root, "--camera", TOP, "-o", tmp_path / "runs.jsonl") == 2
    assert "has 5 frames, and episode_000000 is frames 0 to 49" in capsys.readouterr().err


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert call(monkeypatch, "import-lerobot", tmp_path, "--camera", TOP, "-o", tmp_path / "runs.jsonl") == 2
    assert "pip install 'cosmos-batch[datasets]'" in capsys.readouterr().err
