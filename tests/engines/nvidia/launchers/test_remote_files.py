"""Copies of inputs under names by content."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.launchers.remote_files import ContentNames, copy_once
from cosmos_batch.errors import MediaError


def test_file_is_copied_under_its_content(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"one")

    made = copy_once(path, tmp_path / "inputs", ContentNames().name(path))

    assert made.read_bytes() == b"one"
    assert made.suffix == ".mp4"


def test_file_that_has_changed_since_it_was_named_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"one")
    name = ContentNames().name(path)
    path.write_bytes(b"other")

    with pytest.raises(MediaError, match=r"in\.mp4: the file changed while it was copied"):
        copy_once(path, tmp_path / "inputs", name)

    assert not list((tmp_path / "inputs").iterdir())
