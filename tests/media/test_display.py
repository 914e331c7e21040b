"""Pictures as a player shows them: orientation, shape, colours, transparency, and what an edit list hides."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from cosmos_batch.errors import MediaError
from cosmos_batch.media.contact_sheet import SheetRow, draw_sheet
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.engine_inputs import prepare_control, prepare_input
from cosmos_batch.media.video import Frames, frames_of, probe, read_frames, read_mask
from cosmos_batch.run import Control, Run
from cosmos_batch.service.runs.previews import Previews
from cosmos_batch.service.runs.thumbnails import thumbnail
from tests.support.shown_files import (
    ORIENTATIONS,
    UPRIGHT,
    edited_video,
    encoded,
    is_upright,
    trimmed_video,
    turned_image,
    turned_video,
)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.jpg", "a.png"])
def test_every_orientation_is_upright(tmp_path: Path, name: str, orientation: int) -> None:
    make = turned_video if name in ("a.mp4", "a.mov") else turned_image
    path = make(tmp_path / name, orientation)

    assert (probe(path).width, probe(path).height) == (160, 96)
    assert is_upright(read_frames(path)[0])
    assert is_upright(next(frames_of(path)))
    assert is_upright(read_frames(path, size=(80, 48))[0])
    small = np.frombuffer(thumbnail(path), np.uint8)
    assert is_upright(np.asarray(cv2.imdecode(small, cv2.IMREAD_COLOR_RGB), np.uint8))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_controls_masks_sheets_and_previews_are_upright(tmp_path: Path, orientation: int) -> None:
    path = turned_video(tmp_path / "a.mp4", orientation, codec="mpeg4")
    control = Control(name="seg", weight=1, video=str(path))
    run = Run(id="r", prompt="snow", video=str(path), controls=(control,))
    cache = ControlCache(tmp_path / "cache")

    source = prepare_input(run, count=3, size=(160, 96))
    assert source is not None
    assert is_upright(source[0])
    assert is_upright(prepare_control(run, control, count=3, size=(160, 96), cache=cache)[0])
    mask = read_mask(path, count=3, size=(160, 96))[0]
    assert np.abs(mask - UPRIGHT.mean(axis=-1) / 255).mean() < 0.05
    sheet = draw_sheet([SheetRow("r", "snow", {"seg": 1}, input=path)])
    row = sheet[68:188, 284:484]  # the input's cell
    assert is_upright(row)
    assert is_upright(read_frames(Previews(tmp_path / "previews").of(path))[0])


@pytest.mark.parametrize(
    ("pixel_shape", "orientation", "shown"),
    [
        (Fraction(2), 1, (320, 96)),
        (Fraction(4, 3), 1, (213, 96)),
        (Fraction(1, 2), 1, (160, 192)),
        (Fraction(2), 6, (96, 320)),
    ],
)
def test_pixels_that_are_not_square_give_the_shape_on_the_screen(
    tmp_path: Path, pixel_shape: Fraction, orientation: int, shown: tuple[int, int]
) -> None:
    path = encoded(tmp_path / "a.mp4", [UPRIGHT] * 2, pixel_shape=pixel_shape)
    if orientation == 6:
        data = path.read_bytes()
        other = turned_video(tmp_path / "b.mp4", 6).read_bytes()
        at, there = data.find(b"tkhd") + 44, other.find(b"tkhd") + 44
        path.write_bytes(data[:at] + other[there : there + 36] + data[at + 36 :])

    facts = probe(path)

    assert (facts.width, facts.height) == shown
    assert read_frames(path).shape[1:3] == shown[::-1]
    assert next(frames_of(path)).shape[:2] == shown[::-1]
    assert read_frames(path, size=(64, 64)).shape == (2, 64, 64, 3)


def test_absurd_pixel_shape_is_refused(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", [UPRIGHT], pixel_shape=Fraction(60))

    with pytest.raises(MediaError, match="9600x96 pixels, and a side may have 8192"):
        probe(path)


HALF_CLEAR = np.zeros((48, 64, 4), np.uint8)
"""Green, invisible on the left, opaque on the right."""
HALF_CLEAR[..., 1] = 255
HALF_CLEAR[:, 32:, 3] = 255

ALPHA = [
    ("a.mov", "qtrle", "argb", {}),
    ("a.mov", "prores_ks", "yuva444p10le", {}),
    ("a.mov", "png", "rgba", {}),
    ("a.mkv", "ffv1", "yuva420p", {}),
    ("a.webm", "libvpx-vp9", "yuva420p", {}),
    ("a.webm", "libvpx", "yuva420p", {"auto-alt-ref": "0"}),
    ("a.png", "png", "rgba", {}),
]


@pytest.mark.parametrize(("name", "codec", "pixels", "options"), ALPHA)
def test_transparency_is_over_black(
    tmp_path: Path, name: str, codec: str, pixels: str, options: dict[str, str]
) -> None:
    count = 1 if name == "a.png" else 3
    path = encoded(tmp_path / name, [HALF_CLEAR] * count, codec, pixels, options=options)

    frames = read_frames(path)

    assert len(frames) == count
    assert np.abs(frames[:, :, :30].astype(int)).max() < 10
    assert np.abs(frames[:, :, 34:].astype(int) - (0, 255, 0)).max() < 12


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (0, 255, 0)])
@pytest.mark.parametrize(("name", "codec", "pixels", "options"), ALPHA)
def test_mask_in_opacity_is_a_mask(
    tmp_path: Path, name: str, codec: str, pixels: str, options: dict[str, str], colour: tuple[int, int, int]
) -> None:
    picture = HALF_CLEAR.copy()
    picture[..., :3] = colour
    path = encoded(tmp_path / name, [picture] * (1 if name == "a.png" else 3), codec, pixels, options=options)

    mask = read_mask(path, count=3, size=(64, 48))

    assert mask.shape == (3, 48, 64)
    assert mask[:, :, :30].max() < 0.02
    assert mask[:, :, 34:].min() > 0.98


def test_mask_in_colour_and_opacity_is_seen_over_black(tmp_path: Path) -> None:
    picture = HALF_CLEAR.copy()
    picture[..., :3] = 255
    picture[:24, :, :3] = 0
    path = encoded(tmp_path / "a.png", [picture], "png", "rgba")

    mask = read_mask(path, count=1, size=(64, 48))[0]

    assert mask[:24].max() == 0
    assert mask[24:, :32].max() == 0
    assert mask[24:, 32:].min() == 1


@pytest.mark.parametrize(
    ("size", "space"),
    [
        ((1280, 720), Colorspace.ITU709),
        ((720, 1280), Colorspace.ITU709),
        ((640, 480), Colorspace.ITU601),
        ((720, 576), Colorspace.ITU601),
    ],
)
def test_untagged_colours_are_read_by_size(tmp_path: Path, size: tuple[int, int], space: Colorspace) -> None:
    picture = np.full((size[1], size[0], 3), (200, 30, 40), np.uint8)
    tagged = _in_space(tmp_path / "a.mkv", picture, space)

    assert np.abs(read_frames(tagged)[0, 10, 10].astype(int) - (200, 30, 40)).max() < 4


def _in_space(path: Path, picture: Frames, space: Colorspace) -> Path:
    """A video whose colours are of this space, without a tag that says so."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv444p"
        frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv444p", dst_colorspace=space)
        frame.colorspace = 2
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_is_tone_mapped(tmp_path: Path, transfer: ColorTrc) -> None:
    """Grey stays grey, brighter is brighter, and white in PQ (58 % of the signal at 203 cd/m²) is no dark grey."""
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, axis=0).repeat(3, axis=2)
    tags = {
        "color_trc": int(transfer),
        "color_primaries": int(ColorPrimaries.BT2020),
        "colorspace": int(Colorspace.BT2020),
    }
    path = encoded(tmp_path / "a.mkv", [ramp] * 2, "ffv1", "yuv420p10le", tags=tags)

    row = read_frames(path)[1, 24].astype(int)

    assert np.ptp(row, axis=1).max() <= 6
    assert (np.diff(row.mean(axis=1)) > -2).all()
    assert row[0].max() < 12
    assert row[-1].min() > 240
    if transfer is ColorTrc.SMPTE2084:
        assert 150 < row[round(0.58 * 63)].mean() < 230  # and 148 if it were shown as it is


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize(("skip", "b_frames"), [(0, 0), (0, 2), (6, 0), (6, 2), (23, 0)])
def test_trimmed_video_has_the_frames_that_are_shown(
    tmp_path: Path, suffix: str, skip: int, b_frames: int
) -> None:
    path = trimmed_video(tmp_path / f"a.{suffix}", skip=skip, b_frames=b_frames)

    facts, frames = probe(path), read_frames(path)

    assert facts.frames == len(frames) == 24 - skip
    assert facts.fps == pytest.approx(24)
    assert np.abs(frames[:, 48, 80, 0].astype(int) - 10 * np.arange(skip, 24)).max() < 8


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(24, 0)], range(24)),
        ([(12, 6)], range(6, 18)),
        ([(12, -1), (24, 0)], range(24)),
        ([(6, 0), (6, 12)], [*range(6), *range(12, 18)]),
    ],
)
def test_edit_lists_are_followed(tmp_path: Path, edits: list[tuple[int, int]], shown: list[int]) -> None:
    path = edited_video(tmp_path / "a.mp4", edits)

    facts, frames = probe(path), read_frames(path)

    assert facts.frames == len(frames) == len(shown)
    assert np.abs(frames[:, 48, 80, 0].astype(int) - 10 * np.asarray(shown)).max() < 8


@pytest.mark.parametrize("skip", [0, 6])
def test_trimmed_video_that_is_cut_short_is_refused(tmp_path: Path, skip: int) -> None:
    path = trimmed_video(tmp_path / "a.mp4", skip=skip)
    data = path.read_bytes()
    moov, mdat = data.find(b"moov") - 4, data.find(b"mdat") - 4
    assert mdat < moov
    # The index first, and half of the frames: offsets then point past the end, as in a download that broke off.
    path.write_bytes(data[:mdat] + data[moov:] + data[mdat : mdat + (moov - mdat) // 3])

    with pytest.raises(MediaError, match="cut short"):
        probe(path)
