"""Atomic replacement of files, and the messages of folder errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import PART, describe_folder_error, replacing


def test_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == tmp_path
        assert part.name.startswith(".")
        assert part.name.endswith(PART)

    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_any_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    with pytest.raises(StorageError) as raised, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert str(raised.value) == (
        f"{path}: cannot be written: its folder is on a full disk; free some space, then try again "
        "(No space left on device)"
    )


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EDQUOT, "has reached its quota; free some space"),
        (errno.EROFS, "cannot be written; choose another, or make it writable"),
        (errno.EACCES, "cannot be written; choose another, or make it writable"),
        (errno.ENOENT, "does not exist; make it first"),
        (errno.ENOTDIR, "is not a folder; choose another"),
        (errno.EIO, "is on a disk that reports errors"),
        (errno.EMFILE, "cannot be used"),
    ],
)
def test_error_of_a_folder_in_words(number: int, message: str) -> None:
    words = describe_folder_error(OSError(number, os.strerror(number)))

    assert words.startswith(message)
    assert words.endswith(f"({os.strerror(number)})")
