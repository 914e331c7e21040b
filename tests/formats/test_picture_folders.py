"""Folders of numbered pictures in place of a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.formats.picture_folders import numbered_pictures
from tests.support.format_files import Write, minimal


def folder(root: Path, *names: str) -> Path:
    made = root / "pictures"
    made.mkdir()
    for name in names:
        (made / name).write_bytes(b"picture")
    return made


@pytest.mark.parametrize(
    ("names", "pattern", "start"),
    [
        (("00007.png", "00008.png"), "%05d.png", 7),
        (("frame_1.jpg", "frame_2.jpg", "frame_10.jpg"), "frame_%d.jpg", 1),
        (("a.000.PNG", "notes.txt"), "a.%03d.PNG", 0),
        (("100%_1.png",), "100%%_%d.png", 1),
    ],
)
def test_command_that_makes_a_video_of_them(
    tmp_path: Path, names: tuple[str, ...], pattern: str, start: int
) -> None:
    command = numbered_pictures(folder(tmp_path, *names))

    assert command is not None
    assert f"-start_number {start} -i {tmp_path}/pictures/{pattern} " in command
    assert command.endswith(f" {tmp_path}/pictures.mp4")


def test_other_folders_have_none(tmp_path: Path) -> None:
    assert numbered_pictures(folder(tmp_path, "clip.mp4", "notes.txt")) is None
    assert numbered_pictures(tmp_path / "absent") is None


@pytest.mark.parametrize("given", ["pictures", "pictures/%05d.png", "pictures/*.png"])
def test_run_on_pictures_says_how_to_make_a_video_of_them(tmp_path: Path, write: Write, given: str) -> None:
    folder(tmp_path, "00001.png", "00002.png")

    (problem,) = read_files([write("runs.jsonl", [minimal(inputs={"video": given})])]).problems

    assert problem.field == "inputs.video"
    assert f"make a video of its pictures: ffmpeg -framerate 24 -start_number 1 -i {tmp_path}" in problem.remedy
