"""Finished runs are matched to episodes by their ids, and checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.datasets.lerobot.made_runs import episode_of, find_variations
from cosmos_batch.errors import InputError
from cosmos_batch.formats.lerobot.layout import CameraEpisodes, read_dataset
from tests.support.lerobot_data import TOP, write_dataset, write_outputs


@pytest.fixture
def dataset(tmp_path: Path) -> CameraEpisodes:
    """A v2.1 dataset with finished runs of all episodes in `out` beside it."""
    root = write_dataset(tmp_path / "source", "v2.1")
    write_outputs(tmp_path / "out", root, "__snow")
    return read_dataset(root, TOP)


def change(path: Path, **fields: object) -> None:
    """Replace fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("run_id", "found"),
    [
        ("episode_000012", (12, "default")),
        ("episode_000012__snow__s3", (12, "snow__s3")),
        ("pick.episode_000012__snow", (12, "pick__snow")),
        ("episode_1234567-a", (1234567, "a")),
        ("myepisode_000012", None),
        ("episode_12", None),
    ],
)
def test_an_id_names_an_episode_and_a_variation(run_id: str, found: tuple[int, str] | None) -> None:
    assert episode_of(run_id) == found


def test_missing_runs_are_problems_with_their_causes(dataset: CameraEpisodes, tmp_path: Path) -> None:
    out = write_outputs(tmp_path / "some", dataset.root, "__rain", episodes=(1,))
    failed = {"id": "episode_000002__rain", "state": "failed", "cause": "out of memory"}
    (out / "manifest.jsonl").write_text(json.dumps(failed) + "\n")
    with pytest.raises(InputError) as refused:
        find_variations(dataset, out)
    assert str(refused.value).splitlines() == [
        f"{out}: episode_000000 of the variation rain has no finished run; "
        "make it, or leave such episodes out with --skip-missing",
        f"{out}: episode_000002 of the variation rain has no finished run (failed: out of memory); "
        "make it, or leave such episodes out with --skip-missing",
    ]


def test_all_outputs_that_do_not_fit_are_named(dataset: CameraEpisodes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = [f"episode_00000{index}__snow" for index in range(3)]
    change(out / names[0] / "run.json", output={"width": 64, "height": 48, "frames": 4})
    other = str(dataset.root / dataset.episodes[0].video)
    described = json.loads((out / names[1] / "run.json").read_text())
    change(out / names[1] / "run.json", run=described["run"] | {"video": other})
    (out / names[2] / "output.mp4").write_bytes(b"other")
    with pytest.raises(InputError) as refused:
        find_variations(dataset, out)
    lines = str(refused.value).splitlines()
    assert [line.partition(": ")[2].partition(";")[0].partition(" = ")[0] for line in lines] == [
        "output.frames",
        "run.video",
        "is not as it was left: damaged or replaced",
    ]


def test_outputs_of_several_sizes_are_refused(dataset: CameraEpisodes, tmp_path: Path) -> None:
    change(tmp_path / "out/episode_000001__snow/run.json", output={"width": 32, "height": 48, "frames": 7})
    with pytest.raises(InputError, match="outputs of one variation have several sizes: 32x48, 64x48"):
        find_variations(dataset, tmp_path / "out")


def test_an_unknown_variation_is_a_problem(dataset: CameraEpisodes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--variation = fog: has no finished run; name one of snow"):
        find_variations(dataset, tmp_path / "out", ["fog"])


def test_a_folder_without_runs_of_episodes_is_a_problem(dataset: CameraEpisodes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished run of an episode"):
        find_variations(dataset, tmp_path)


def test_a_run_of_the_span_of_another_episode_is_a_problem(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "shared", "v3.0")
    out, dataset = write_outputs(tmp_path / "spans", root, ""), read_dataset(root, TOP)
    for index, span in enumerate(("#frames=0+5", "#frames=0+7", "#frames=12+6")):
        path = out / f"episode_00000{index}" / "run.json"
        video = f"{root / dataset.episodes[index].video}{span}"
        change(path, run=json.loads(path.read_text())["run"] | {"video": video})
    with pytest.raises(InputError, match="is not the video of episode_000001") as refused:
        find_variations(dataset, out)
    assert len(refused.value.problems) == 1
