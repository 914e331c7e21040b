"""Files of the server that a request may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories


def test_files_are_allowed_by_their_place_after_links_are_resolved(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (videos / "inner").mkdir()
    (videos / "inner" / "link.mp4").symlink_to(videos / "dock.mp4")
    (videos / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (videos / "up").symlink_to(tmp_path)
    (videos / "loop").symlink_to(videos / "loop")
    allowed = AllowedDirectories([videos])
    real = (videos / "dock.mp4").resolve()
    for good in ("dock.mp4", str(videos / "dock.mp4"), "inner/../dock.mp4", "inner/link.mp4"):
        assert allowed.resolve(good) == real, good
    for bad in (
        "out.mp4",
        "up/secret.mp4",
        "../secret.mp4",
        str(tmp_path / "secret.mp4"),
        "inner",
        "loop",
        "a\0b",
        "~",
    ):
        assert allowed.resolve(bad) is None, bad
    assert AllowedDirectories([]).resolve(str(real)) is None
    with pytest.raises(InputError, match="not a folder"):
        AllowedDirectories([tmp_path / "nowhere"])
