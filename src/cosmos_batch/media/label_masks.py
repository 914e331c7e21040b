"""Masks as labels: `.npz` files with an array `arr_0` [frames, height, width], as segmentation tools write them.

The array is read frame by frame, so that a file of any length takes the memory of a frame.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.spans import file_of

MAX_SIDE = 8192
"""Pixels of a side; more count as a damaged header."""

_ARRAY = "arr_0.npy"
_KINDS = "biuf"  # of a label's type: truth values, whole numbers, decimals
_REMEDY = "save it with numpy.savez(file, labels), labels of [frames, height, width]"
_Header = tuple[tuple[int, ...], bool, np.dtype[np.generic]]
_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], _Header]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


@dataclass(frozen=True, slots=True)
class _Labels:
    """A file of labels, opened behind its header."""

    frames: int
    height: int
    width: int
    dtype: np.dtype[np.generic]
    stream: IO[bytes]

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        """Yield the frames, [height, width]. Raises EOFError where the file ends early."""
        size = self.height * self.width * self.dtype.itemsize
        for _ in range(self.frames):
            raw = self.stream.read(size)
            if len(raw) < size:
                raise EOFError("it ends early")
            yield np.frombuffer(raw, self.dtype).reshape(self.height, self.width)


def probe_labels(path: str | Path, *, to_end: bool = False, most_pixels: int | None = None) -> VideoInfo:
    """Size and length of a file of labels; its rate is 0.

    `to_end`: read its frames too, with `most_pixels` none after that many. Raises MediaError for a file that is
    missing, damaged or of another form.
    """
    with _opened(path) as labels:
        left = most_pixels
        for _ in labels if to_end else ():
            left = None if left is None else left - labels.width * labels.height
            if left is not None and left <= 0:
                break
        return VideoInfo(labels.width, labels.height, labels.frames, 0.0)


def read_label_mask(
    path: str | Path, foreground: Sequence[int] | None, *, count: int, size: tuple[int, int]
) -> NDArray[np.float32]:
    """A mask [count, height, width] from labels: 1 for those of `foreground` (None: all above 0), else 0.

    It is resized linearly to `size` = (width, height), as NVIDIA's `_read_guided_generation_mask` does
    (transfer2/inference/inference_pipeline.py). A single frame holds for all. Raises MediaError as `probe_labels`
    does, and for fewer frames than `count`.
    """
    with _opened(path) as labels:
        if 1 < labels.frames < count:
            raise MediaError(
                f"{path}: {count} frames are needed and it has {labels.frames}; "
                "supply a longer mask or ask for fewer"
            )
        mask = np.empty((min(count, labels.frames), size[1], size[0]), np.float32)
        for place, frame in zip(range(len(mask)), labels, strict=False):
            white = np.greater(frame, 0) if foreground is None else np.isin(frame, foreground)
            mask[place] = cv2.resize(white.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.repeat(mask, count, axis=0) if len(mask) < count else mask


@contextmanager
def _opened(path: str | Path) -> Iterator[_Labels]:
    """Open a file of labels; errors inside the context become MediaError."""
    try:
        with zipfile.ZipFile(file_of(path)) as archive, archive.open(_ARRAY) as stream:
            yield _labels(path, stream)
    except MediaError:
        raise
    except FileNotFoundError as error:
        raise MediaError(f"{path}: no such file; check the path") from error
    except KeyError as error:
        raise MediaError(f"{path}: it holds no array arr_0; {_REMEDY}") from error
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise MediaError(f"{path}: cannot be read as labels ({error}); {_REMEDY}") from error


def _labels(path: str | Path, stream: IO[bytes]) -> _Labels:
    """Read the header of the array. Raises MediaError for an array of another form."""
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"an array of version {version[0]}.{version[1]}")
    shape, columns_first, dtype = _HEADERS[version](stream)
    if len(shape) != 3 or dtype.kind not in _KINDS or 0 in shape:
        raise MediaError(
            f"{path}: arr_0 is {dtype} of shape {list(shape)}, not numbers in three dimensions; {_REMEDY}"
        )
    if columns_first and sum(side > 1 for side in shape) > 1:
        raise MediaError(
            f"{path}: arr_0 is stored column by column; save numpy.ascontiguousarray(labels) in its place"
        )
    frames, height, width = shape
    if max(height, width) > MAX_SIDE:
        raise MediaError(f"{path}: {width}x{height} pixels, and a side may have {MAX_SIDE}; scale it down")
    return _Labels(frames, height, width, dtype, stream)
