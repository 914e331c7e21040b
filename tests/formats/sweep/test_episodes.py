"""Episodes of LeRobot datasets as videos of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.spans import split_span
from tests.support.lerobot_data import FPS, TOP, write_dataset

SWEEP = f"""
videos: {{dataset: demo, camera: {TOP}, episodes: "0,2"}}
prompts: {{snow: "{{task}} in snow"}}
seeds: [1, 2]
controls: {{edge: 0.5}}
tags: {{task: "{{task}}", frames: "{{length}}"}}
"""


def sweep(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_every_chosen_episode_is_a_video_with_its_task(version: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "demo", version)

    reading = read_files([sweep(tmp_path, SWEEP)])

    assert [str(problem) for problem in reading.problems] == []
    assert [run.id for run in reading.runs] == [
        f"episode_00000{index}__snow__s{seed}" for index in (0, 2) for seed in (1, 2)
    ]
    last = reading.runs[-1]
    assert last.prompt == "pick the cube in snow"
    assert last.annotations is not None
    assert last.annotations.tags == {"task": "pick the cube", "frames": "6"}
    assert (last.sampling.fps, last.sampling.keep_input_resolution) == (FPS, True)
    file, span = split_span(str(last.video))
    assert Path(file).is_file()
    assert (span.facts if span else None) == ({"start": 12, "frames": 6} if version == "v3.0" else None)


def test_columns_of_the_episodes_are_placeholders_and_settings_of_the_sweep_come_first(tmp_path: Path) -> None:
    write_dataset(tmp_path / "demo", "v2.1")
    text = SWEEP.replace("{task} in snow", "by {operator}") + "settings: {fps: 5}\n"

    reading = read_files([sweep(tmp_path, text)])

    assert [run.prompt for run in reading.runs[::2]] == ["by o0", "by o2"]
    assert {run.sampling.fps for run in reading.runs} == {5}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("dataset: demo", "dataset: other", "cannot be read"),
        (TOP, "top", f'videos.camera = "top": is no camera of the dataset; name one of {TOP}'),
        ('"0,2"', '"7:"', 'videos.episodes = "7:": is no range of the 3 episodes'),
        ('"0,2"', "3", "videos.episodes = 3: is not text; put it in quotes"),
        ("episodes", "episode", "videos.episode = \"0,2\": is not a known key; did you mean 'episodes'?"),
    ],
)
def test_a_dataset_that_does_not_fit_is_one_problem(before: str, after: str, message: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "demo", "v3.0")

    reading = read_files([sweep(tmp_path, SWEEP.replace(before, after))])

    (problem,) = map(str, reading.problems)
    assert message in problem
    assert reading.runs == ()
