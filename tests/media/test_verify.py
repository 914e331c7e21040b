"""An output counts only if it is whole, as it should be, and its own run's."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.errors import OutputError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.pictures import write_picture
from cosmos_batch.media.verify import FINGERPRINT, check_picture, check_video
from tests.support.clips import moving


@pytest.fixture
def output(tmp_path: Path) -> Path:
    write_video(tmp_path / "output.mp4", moving(17, 160, 96), 8, metadata={FINGERPRINT: "abc"})
    return tmp_path / "output.mp4"


def test_expected_output_passes(output: Path) -> None:
    check_video(output, frames=17, width=160, height=96, fps=8, fingerprint="abc")
    check_video(output, frames=17, width=160, height=96, fps=8)


def test_all_differences_are_reported_at_once(output: Path) -> None:
    with pytest.raises(OutputError) as caught:
        check_video(output, frames=18, width=96, height=160, fps=24, fingerprint="xyz")

    for part in (
        "17 frames instead of 18",
        "160x96 pixels instead of 96x160",
        "8 fps instead of 24",
        "run abc, not xyz",
    ):
        assert part in str(caught.value)


def test_output_without_a_fingerprint_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "output.mp4", moving(2), 8)

    with pytest.raises(OutputError, match="does not say for which run"):
        check_video(tmp_path / "output.mp4", frames=2, width=64, height=48, fps=8, fingerprint="abc")


def test_missing_or_truncated_output_is_refused(output: Path) -> None:
    whole = output.read_bytes()
    for size in range(100, len(whole), len(whole) // 12):
        output.write_bytes(whole[:size])
        with pytest.raises(OutputError):
            check_video(output, frames=17, width=160, height=96, fps=8, fingerprint="abc")

    output.unlink()
    with pytest.raises(OutputError, match="no such file"):
        check_video(output, frames=17, width=160, height=96, fps=8, fingerprint="abc")


def test_damaged_frames_are_refused(output: Path) -> None:
    """Enough to lose the length of a picture: a decoder may well take what lies within one for another."""
    data = bytearray(output.read_bytes())
    begin = data.index(b"mdat")
    middle, size = (begin + len(data)) // 2, (len(data) - begin) // 4
    data[middle : middle + size] = bytes(size)
    output.write_bytes(data)

    with pytest.raises(OutputError):
        check_video(output, frames=17, width=160, height=96, fps=8, fingerprint="abc")


@pytest.fixture(params=["output.png", "output.jpg"])
def picture(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / str(request.param)
    write_picture(path, moving(1, 160, 96)[0], metadata={FINGERPRINT: "abc"})
    return path


def test_expected_picture_passes(picture: Path) -> None:
    check_picture(picture, size=(160, 96), fingerprint="abc")
    check_picture(picture, size=(160, 96))


def test_all_differences_of_a_picture_are_reported_at_once(picture: Path) -> None:
    with pytest.raises(OutputError, match="160x96 pixels instead of 96x160; made for run abc, not xyz"):
        check_picture(picture, size=(96, 160), fingerprint="xyz")


def test_picture_without_a_fingerprint_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "output.png", moving(1)[0])
    with pytest.raises(OutputError, match="does not say for which run"):
        check_picture(tmp_path / "output.png", size=(64, 48), fingerprint="abc")


def test_missing_or_truncated_picture_is_refused(picture: Path) -> None:
    whole = picture.read_bytes()
    for size in range(0, len(whole), len(whole) // 12):
        picture.write_bytes(whole[:size])
        with pytest.raises(OutputError):
            check_picture(picture, size=(160, 96), fingerprint="abc")
    picture.unlink()
    with pytest.raises(OutputError, match="no such file"):
        check_picture(picture, size=(160, 96), fingerprint="abc")


def test_video_in_place_of_a_picture_is_refused(output: Path) -> None:
    with pytest.raises(OutputError, match="no PNG or JPEG"):
        check_picture(output, size=(160, 96))
