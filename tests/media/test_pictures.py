"""Picture files: what is written reads back, and says for which run it was made."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.pictures import picture_suffix, read_texts, tag_picture, write_picture
from cosmos_batch.media.video import count_intact_frames, probe, read_frames
from tests.support.clips import clip, moving

PICTURE = moving(1, 1300, 600)[0]  # so large that untagged pictures are BT.709
TEXTS = {"cosmos_batch_run": "0c1d", "other": "a = b"}


@pytest.mark.parametrize(("name", "most"), [("a.png", 0), ("a.jpg", 12)])
def test_picture_reads_back(tmp_path: Path, name: str, most: int) -> None:
    write_picture(tmp_path / name, PICTURE, metadata=TEXTS)

    (found,) = read_frames(tmp_path / name)
    assert np.abs(found.astype(int) - PICTURE).max() <= most
    assert probe(tmp_path / name).frames == count_intact_frames(tmp_path / name) == 1
    assert read_texts(tmp_path / name) == TEXTS
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_equal_pictures_give_equal_bytes(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, PICTURE)
    first = (tmp_path / name).read_bytes()
    write_picture(tmp_path / name, PICTURE)
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_copy_has_its_texts_and_the_same_pixels(tmp_path: Path, name: str) -> None:
    source, target = tmp_path / name, tmp_path / f"copy-{name}"
    write_picture(source, PICTURE, metadata={"other": "x"})

    tag_picture(source, target, TEXTS)

    assert read_texts(target) == TEXTS | {"other": "x"}
    assert np.array_equal(read_frames(source), read_frames(target))


def test_jpeg_without_a_jfif_header_can_be_tagged(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", PICTURE)
    data = (tmp_path / "a.jpg").read_bytes()
    assert data[3] == 0xE0
    (tmp_path / "bare.jpg").write_bytes(data[:2] + data[4 + int.from_bytes(data[4:6]) :])

    tag_picture(tmp_path / "bare.jpg", tmp_path / "tagged.jpg", TEXTS)

    assert read_texts(tmp_path / "tagged.jpg") == TEXTS
    assert count_intact_frames(tmp_path / "tagged.jpg") == 1


@pytest.mark.parametrize(
    ("kind", "suffix"), [("png", "png"), ("jpg", "jpg"), ("webp", "png"), ("bmp", "png"), ("tiff", "png")]
)
def test_kind_of_a_picture_is_found_in_its_contents(tmp_path: Path, kind: str, suffix: str) -> None:
    cv2.imwrite(str(tmp_path / f"a.{kind}"), PICTURE)
    for other in ("a.dat", "b.png", "b.jpg", "b"):
        shutil.copyfile(tmp_path / f"a.{kind}", tmp_path / other)
        assert picture_suffix(tmp_path / other) == suffix


def test_frame_of_a_video_is_a_jpeg(tmp_path: Path) -> None:
    assert picture_suffix(clip(tmp_path / "a.mp4")) == "jpg"


@pytest.mark.parametrize("contents", [None, b"", b"no picture"])
def test_file_that_is_no_picture_is_a_media_error(tmp_path: Path, contents: bytes | None) -> None:
    path = tmp_path / "a.png"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(MediaError, match=r"a\.png"):
        read_texts(path)
    with pytest.raises(MediaError, match=r"a\.png"):
        tag_picture(path, tmp_path / "b.png", TEXTS)
    assert not (tmp_path / "b.png").exists()


def test_kind_of_a_missing_file_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        picture_suffix(tmp_path / "a.png")


def test_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_picture(tmp_path / "none" / "a.png", PICTURE)
