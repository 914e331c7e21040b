"""Reading videos: size, frames and rate, and errors with their cause."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.untrusted import probe_untrusted
from cosmos_batch.media.video import probe, read_frames, read_mask
from tests.support.clips import clip, frameless, moving, rotated_clip, sound, timed_clip
from tests.support.shown_files import encoded


def test_video_is_probed(tmp_path: Path) -> None:
    facts = probe(clip(tmp_path / "a.mp4", frames=7, width=64, height=48, fps=8))

    assert facts == VideoInfo(width=64, height=48, frames=7, fps=8.0)


def test_frames_are_counted_if_the_container_gives_no_count(tmp_path: Path) -> None:
    video = timed_clip(tmp_path / "a.mkv", [0, 125, 250, 375, 500])

    assert probe(video).frames == 5


def test_variable_frame_rate_keeps_its_frames(tmp_path: Path) -> None:
    video = timed_clip(tmp_path / "a.mp4", [0, 10, 20, 500, 1000])

    assert len(read_frames(video)) == 5
    assert probe(video).fps == pytest.approx(4, rel=0.02)  # four intervals in a second


@pytest.mark.parametrize(
    ("degrees", "corner"), [(90, "left, bottom"), (-90, "right, top"), (180, "right, bottom")]
)
def test_rotation_is_applied(tmp_path: Path, degrees: int, corner: str) -> None:
    video = rotated_clip(tmp_path / "a.mp4", degrees)

    frame = read_frames(video)[0]

    assert (probe(video).width, probe(video).height) == (frame.shape[1], frame.shape[0])
    left = frame[:, :8].max() > 200
    top = frame[:8].max() > 200
    assert f"{'left' if left else 'right'}, {'top' if top else 'bottom'}" == corner


def test_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), moving(1)[0][..., ::-1])

    assert probe(tmp_path / "a.png").frames == 1
    assert np.array_equal(read_frames(tmp_path / "a.png"), moving(1))


def test_frames_are_cut_and_stretched(tmp_path: Path) -> None:
    video = clip(tmp_path / "a.mp4", frames=6, width=64, height=48)

    assert read_frames(video, count=4, size=(32, 40)).shape == (4, 40, 32, 3)
    assert read_frames(video, count=2, size=(200, 100)).shape == (2, 100, 200, 3)


def test_nearest_adds_no_colours(tmp_path: Path) -> None:
    video = clip(tmp_path / "a.mp4", frames=1)
    colours = {tuple(pixel) for pixel in moving(1).reshape(-1, 3)}

    pixels = read_frames(video, size=(23, 17), resample="nearest").reshape(-1, 3)

    assert {tuple(pixel) for pixel in pixels} <= colours


def test_short_video_is_reported_with_both_lengths(tmp_path: Path) -> None:
    video = clip(tmp_path / "short.mp4", frames=3)

    with pytest.raises(MediaError, match=r"short\.mp4: 5 frames are needed and it has 3"):
        read_frames(video, count=5)


def test_mask_is_0_on_black_and_1_on_white(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, 4:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), picture)

    mask = read_mask(tmp_path / "mask.png", count=3, size=(8, 8))

    assert mask.shape == (3, 8, 8)  # the single picture holds for every frame
    assert mask.dtype == np.float32
    assert (mask[:, :, :4] == 0).all()
    assert (mask[:, :, 4:] == 1).all()


def _missing(path: Path) -> None:
    """Make no file at all."""


def _cut_short(path: Path) -> None:
    whole = clip(path).read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


BAD = [
    (_missing, "no such file"),
    (lambda path: path.mkdir(), "a folder, not a file"),
    (lambda path: path.write_bytes(b""), "cannot be read as a video"),
    (lambda path: path.write_text("not a video" * 99), "cannot be read as a video"),
    (_cut_short, "cut short"),
    (frameless, "not a single frame in it"),
    (lambda path: frameless(path, "avi"), "not a single frame in it"),
    (sound, "no video in it, only audio"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
@pytest.mark.parametrize("read", [probe, read_frames])
def test_bad_files_are_errors_with_their_cause(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
    read: Callable[[Path], object],
) -> None:
    path = tmp_path / "bad.mp4"
    spoil(path)

    with pytest.raises(MediaError, match=rf"bad\.mp4: .*{message}"):
        read(path)

    assert capfd.readouterr().err == ""  # libav itself stays silent


def test_picture_of_absurd_size_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((1, 8193, 3), np.uint8))

    with pytest.raises(MediaError, match="8193x1 pixels, and a side may have 8192"):
        probe(tmp_path / "wide.png")


def test_memory_that_runs_out_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = clip(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match=r"a\.mp4: memory ran out while it was read"):
        read_frames(video, count=10**10, size=(8192, 8192))

    def exhausted(*_: object, **__: object) -> None:
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("cosmos_batch.media.video._frames", exhausted)
    for read in (probe, read_frames):
        with pytest.raises(MediaError, match=r"a\.mp4: memory ran out while it was read"):
            read(video)
    monkeypatch.setattr("cosmos_batch.media.video.av.open", exhausted)
    with pytest.raises(MediaError, match="memory ran out"):
        probe(video)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_fault_of_the_machine_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(*_: object, **__: object) -> None:
        av.error.err_check(-number)

    video = clip(tmp_path / "a.mp4")
    monkeypatch.setattr("cosmos_batch.media.video.av.open", failing)
    with pytest.raises(MediaError) as caught:
        probe(video)
    assert "damaged" not in str(caught.value)
    assert "try again" in str(caught.value)


def _damaged(path: Path) -> Path:
    """A video with a damaged frame in its midst, which its index does not show."""
    frames = moving(24, 160, 96) // 2 + np.random.default_rng(0).integers(0, 90, (24, 96, 160, 3)).astype(np.uint8)
    data = bytearray(encoded(path, frames, options={"bf": "0"}).read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][15]
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size // 2] = bytes(packet.size // 2)
    path.write_bytes(data)
    return path


def test_damage_is_found_by_decoding_to_the_end(tmp_path: Path) -> None:
    video = _damaged(tmp_path / "a.mp4")
    assert probe(video).frames == 24
    with pytest.raises(MediaError, match=r"a\.mp4: damaged or cut short after"):
        read_frames(video)
    with pytest.raises(MediaError, match=r"a\.mp4: damaged or cut short after"):
        probe(video, to_end=True)


def test_decoding_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = _damaged(tmp_path / "a.mp4")
    assert probe(video, to_end=True, most_pixels=10 * 160 * 96).frames == 24
    uncounted = timed_clip(tmp_path / "a.mkv", [0, 125, 250, 375, 500])
    monkeypatch.setattr("cosmos_batch.media.video.MAX_FRAMES", 2)
    assert probe(uncounted).frames == 5
    assert probe(video, to_end=True).frames == 24


@pytest.mark.parametrize("to_end", [False, True])
def test_metadata_that_is_not_utf8_is_no_fault(tmp_path: Path, *, to_end: bool) -> None:
    write_video(tmp_path / "a.mp4", moving(3), 8, metadata={"title": "Schnee"})
    data = (tmp_path / "a.mp4").read_bytes().replace(b"Schnee", b"Schn\xe9e")
    (tmp_path / "a.mp4").write_bytes(data)

    assert probe(tmp_path / "a.mp4", to_end=to_end).frames == 3
    assert len(read_frames(tmp_path / "a.mp4")) == 3
    assert probe_untrusted(tmp_path / "a.mp4").frames == 3


def test_file_of_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    data = clip(tmp_path / "a.mp4").read_bytes().replace(b"avc1", b"zzzz")
    (tmp_path / "a.mp4").write_bytes(data)

    with pytest.raises(MediaError, match=r"a\.mp4: no decoder knows its video codec"):
        probe(tmp_path / "a.mp4")
