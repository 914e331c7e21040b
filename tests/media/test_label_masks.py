"""Masks as labels: what is read of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.label_masks import read_label_mask
from cosmos_batch.media.video import probe

LABELS = np.zeros((5, 8, 12), np.uint8)
LABELS[:, :, :4] = 3  # the left third
LABELS[2:, :, 8:] = 7  # the right third, from the third frame on


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "labels.npz", LABELS)
    return tmp_path / "labels.npz"


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32, ">i2"])
def test_labels_of_any_number_type_count_as_a_video_without_a_rate(tmp_path: Path, kind: type | str) -> None:
    np.savez(tmp_path / "labels.npz", LABELS.astype(kind))
    assert probe(tmp_path / "labels.npz", to_end=True) == VideoInfo(12, 8, 5, 0.0)


@pytest.mark.parametrize(
    ("foreground", "left", "right"), [(None, 1.0, 1.0), ((3,), 1.0, 0.0), ((7, 3), 1.0, 1.0), ((9,), 0.0, 0.0)]
)
def test_foreground_is_white(file: Path, foreground: tuple[int, ...] | None, left: float, right: float) -> None:
    mask = read_label_mask(file, foreground, count=4, size=(12, 8))
    assert mask.shape == (4, 8, 12)
    assert (mask[:, :, :4] == left).all()
    assert (mask[:, :, 4:8] == 0).all()
    assert (mask[:2, :, 8:] == 0).all()
    assert (mask[2:, :, 8:] == right).all()


def test_mask_is_resized_linearly(file: Path) -> None:
    mask = read_label_mask(file, (3,), count=1, size=(24, 16))
    assert mask.shape == (1, 16, 24)
    assert list(mask[0, 0, 6:10]) == [1.0, 0.75, 0.25, 0.0]


def test_single_frame_holds_for_all(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", LABELS[:1])
    mask = read_label_mask(tmp_path / "one.npz", None, count=6, size=(12, 8))
    assert mask.shape == (6, 8, 12)
    assert (mask == mask[0]).all()


def test_mask_that_is_too_short_says_how_long_it_is(file: Path) -> None:
    with pytest.raises(MediaError, match=r"labels.npz: 9 frames are needed and it has 5; supply a longer mask"):
        read_label_mask(file, None, count=9, size=(12, 8))


def spoil(path: Path, labels: NDArray[np.uint8] = LABELS) -> None:
    """Write labels, and change their last byte, so that the sum in the archive is wrong."""
    np.savez(path, labels)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") - 1] ^= 255
    path.write_bytes(content)


BAD: dict[str, Callable[[Path], object]] = {
    "no such file": lambda _: None,
    "it holds no array arr_0": lambda path: np.savez(path, labels=LABELS),
    "arr_0 is uint8 of shape [8, 12], not numbers in three dimensions": lambda path: np.savez(path, LABELS[0]),
    "arr_0 is object of shape [1]": lambda path: np.savez(path, np.array([{1: 2}], dtype=object)),
    "arr_0 is uint8 of shape [0, 8, 12]": lambda path: np.savez(path, LABELS[:0]),
    "arr_0 is stored column by column": lambda path: np.savez(path, LABELS.T),
    "9000x1 pixels, and a side may have 8192": lambda path: np.savez(path, np.zeros((1, 1, 9000), bool)),
    "cannot be read as labels (File is not a zip file)": lambda path: path.write_bytes(b"not labels"),
    "cannot be read as labels (Bad CRC-32": spoil,
}


@pytest.mark.parametrize(("message", "write"), BAD.items())
def test_file_of_another_form_says_what_is_wrong(
    tmp_path: Path, message: str, write: Callable[[Path], object]
) -> None:
    write(path := tmp_path / "labels.npz")
    with pytest.raises(MediaError) as error:
        probe(path, to_end=True)
    assert str(error.value).startswith(f"{path}: {message}")


def test_frames_after_the_bound_are_not_read(tmp_path: Path) -> None:
    spoil(path := tmp_path / "labels.npz", np.ones((64, 64, 64), np.uint8))
    assert probe(path, to_end=True, most_pixels=64 * 64).frames == 64
    with pytest.raises(MediaError, match="Bad CRC-32"):
        probe(path, to_end=True)
