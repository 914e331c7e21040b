"""Verifies that an output file, a video or a picture, is the one that its run should have made."""

from __future__ import annotations

from pathlib import Path

from cosmos_batch.errors import MediaError, OutputError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.pictures import read_texts
from cosmos_batch.media.video import count_intact_frames, probe, read_metadata

FINGERPRINT = "cosmos_batch_run"
"""The metadata key of an output that holds the fingerprint of its run."""

_RATE_TOLERANCE = 0.001  # relative: 29.97 and 30000/1001 are the same rate


def check_video(
    path: str | Path, *, frames: int, width: int, height: int, fps: float, fingerprint: str | None = None
) -> None:
    """Decode a video to its end; raise OutputError with every difference from the expected values.

    `fingerprint`: of the run that the file must have been made for; None: not checked, for files of engines that
    do not write it.
    """
    try:
        info = probe(path)
        wrong = _differences(info, VideoInfo(width, height, frames, fps))
        decoded = count_intact_frames(path)
        if decoded != info.frames:
            wrong.append(f"only {decoded} of its {info.frames} frames can be decoded")
        found = read_metadata(path).get(FINGERPRINT)
    except MediaError as error:
        raise OutputError(str(error)) from error
    _require(path, wrong, found, fingerprint)


def check_picture(path: str | Path, *, size: tuple[int, int], fingerprint: str | None = None) -> None:
    """Decode a picture, as `check_video` does a video; `size` is (width, height). Raises OutputError."""
    try:
        info = probe(path)
        wrong = _differences(info, VideoInfo(*size, 1, info.fps))
        count_intact_frames(path)
        found = read_texts(path).get(FINGERPRINT)
    except MediaError as error:
        raise OutputError(str(error)) from error
    _require(path, wrong, found, fingerprint)


def _require(path: str | Path, wrong: list[str], found: str | None, fingerprint: str | None) -> None:
    """Raise OutputError with what is wrong, a fingerprint `found` other than the expected one included."""
    if fingerprint is not None and found != fingerprint:
        wrong = [*wrong, f"made for run {found}, not {fingerprint}" if found else "it does not say for which run"]
    if wrong:
        raise OutputError(f"{path}: {'; '.join(wrong)}; it must be made again")


def _differences(found: VideoInfo, wanted: VideoInfo) -> list[str]:
    wrong = []
    if found.frames != wanted.frames:
        wrong.append(f"{found.frames} frames instead of {wanted.frames}")
    if (found.width, found.height) != (wanted.width, wanted.height):
        wrong.append(f"{found.width}x{found.height} pixels instead of {wanted.width}x{wanted.height}")
    if abs(found.fps - wanted.fps) > _RATE_TOLERANCE * wanted.fps:
        wrong.append(f"{found.fps:g} fps instead of {wanted.fps:g}")
    return wrong
