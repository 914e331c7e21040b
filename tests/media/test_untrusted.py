"""Files from clients: their type by content, and refusal before a decoder opens them."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.untrusted import LABELS, file_type, probe_untrusted
from tests.support.clips import clip


def test_type_is_detected_by_content(tmp_path: Path) -> None:
    video = clip(tmp_path / "street.mp4").rename(tmp_path / "street.txt")

    assert file_type(video) == ("mp4", "video/mp4")
    assert probe_untrusted(video).frames == 6


def test_labels_are_detected_by_content(tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((3, 4, 6), np.uint8))
    part = (tmp_path / "labels.npz").rename(tmp_path / ".upload.part")

    assert file_type(part) == LABELS
    assert probe_untrusted(part) == VideoInfo(6, 4, 3, 0.0)


def test_other_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "no labels")
    with pytest.raises(MediaError, match="it holds no array arr_0"):
        probe_untrusted(tmp_path / "a.zip")


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", b"no video"])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "street.mp4"
    path.write_bytes(content)

    with pytest.raises(MediaError, match="no video or image of a kind that is taken"):
        probe_untrusted(path)


def test_png_of_absurd_size_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 100_000, 100_000) + bytes(9))

    with pytest.raises(MediaError, match="claims 100000x100000 pixels"):
        probe_untrusted(path)


def test_codec_without_a_decoder_is_refused_by_name(tmp_path: Path) -> None:
    path = clip(tmp_path / "odd.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(MediaError, match=r"odd\.mp4: no decoder knows its video codec; encode it as H\.264"):
        probe_untrusted(path)
