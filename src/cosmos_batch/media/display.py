"""Decoded frames as they are shown on a screen: upright, in BT.709 colours, transparency over black.

The functions of `media.video` return these pictures; no other module reads the pixels of a decoded frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""Pictures in RGB: [frames, height, width, 3]; a single one is [height, width, 3]."""

_UNSPECIFIED = 2  # of ISO/IEC 23091-2: no colour space is given
_SD_WIDTH, _SD_HEIGHT = 1279, 576  # larger pictures without a colour space are BT.709, as in mpv
_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)  # PQ and HLG
_UNNAMED_SIDE_DATA = range(28, 48)  # numbers of libav's that PyAV has no name for, EXIF among them


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways in which a picture may be stored."""

    transposed: bool  # rows are stored as columns; undone first
    mirrored: bool  # left and right are exchanged after that
    upside_down: bool  # top and bottom are exchanged after that

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """The nearest orientation to the frame's display matrix, which libav also makes of EXIF."""
        found = _display_matrix(frame)
        if found is None:
            return cls(transposed=False, mirrored=False, upside_down=False)
        (a, b), (c, d) = found
        transposed = abs(b) + abs(c) > abs(a) + abs(d)
        x, y = (c, b) if transposed else (a, d)
        return cls(transposed, mirrored=x < 0, upside_down=y < 0)

    def upright(self, picture: Frames) -> Frames:
        """The picture, [height, width, channels], as it is shown."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        return np.ascontiguousarray(picture[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1])


class FrameReader:
    """Makes pictures of the frames of one video. For one thread at a time."""

    def __init__(self, pixel_shape: Fraction | None) -> None:
        """`pixel_shape`: width of a stored pixel over its height; None or 0: square."""
        self._pixel_shape = pixel_shape or Fraction(1)
        self._tone_mapper: _ToneMapper | None = None

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of a frame on the screen; pixels that are not square are stretched, never shrunk."""
        wide = max(self._pixel_shape, Fraction(1))
        high = max(1 / self._pixel_shape, Fraction(1))
        size = round(frame.width * wide), round(frame.height * high)
        return size[::-1] if Orientation.of(frame).transposed else size

    def picture(self, frame: VideoFrame) -> Frames:
        """[height, width, 3]: upright and over black, of the stored number of pixels, which may not be square."""
        if not has_alpha(frame):
            return Orientation.of(frame).upright(self._rgb(frame))
        return over_black(self.picture_with_alpha(frame))

    def picture_with_alpha(self, frame: VideoFrame) -> Frames:
        """As `picture`, with opacity as fourth channel: [height, width, 4]."""
        if has_alpha(frame):
            picture = _pixels(frame, "rgba")
        else:
            picture = np.pad(self._rgb(frame), ((0, 0), (0, 0), (0, 1)), constant_values=255)
        return Orientation.of(frame).upright(picture)

    def _rgb(self, frame: VideoFrame) -> Frames:
        if frame.color_trc not in _HDR:
            return _pixels(frame, "rgb24")
        if frame.colorspace == _UNSPECIFIED:
            frame.colorspace = Colorspace.BT2020
        if self._tone_mapper is None or not self._tone_mapper.fits(frame):
            self._tone_mapper = _ToneMapper(frame)
        return self._tone_mapper.mapped(frame)


def has_alpha(frame: VideoFrame) -> bool:
    """Whether pixels of the frame may be transparent."""
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def over_black(picture: Frames) -> Frames:
    """A picture with opacity, [..., 4], over black: [..., 3]."""
    colour, alpha = picture[..., :3], picture[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(colour)
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _pixels(frame: VideoFrame, pixel_format: str) -> Frames:
    untagged = frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb and not frame.format.has_palette
    large = frame.width > _SD_WIDTH or frame.height > _SD_HEIGHT
    source = Colorspace.ITU709 if untagged and large else None
    return np.asarray(frame.to_ndarray(format=pixel_format, src_colorspace=source), np.uint8)


def _display_matrix(frame: VideoFrame) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The part of the matrix that turns and mirrors: x' = a x + c y and y' = b x + d y as ((a, b), (c, d))."""
    try:
        known = frame.side_data
    except ValueError:
        known = _without_unnamed(frame).side_data
    found = known.get("DISPLAYMATRIX")
    if not isinstance(found, Buffer):
        return None
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(found), np.int32)[:5])
    return (a, b), (c, d)


def _without_unnamed(frame: VideoFrame) -> VideoFrame:
    """The frame without side data whose kind PyAV has no name for."""
    graph = Graph()
    last = _source(graph, frame)
    for kind in _UNNAMED_SIDE_DATA:
        last = _linked(last, graph.add("sidedata", f"mode=delete:type={kind}"))
    _linked(last, graph.add("buffersink"))
    return _filtered(graph, frame)


class _ToneMapper:
    """Maps HDR frames of one kind to BT.709, through libswscale: the peak that the video names becomes white."""

    def __init__(self, frame: VideoFrame) -> None:
        self._kind = _kind(frame)
        self._graph = Graph()
        scale = self._graph.add("scale", "out_primaries=bt709:out_transfer=bt709:out_range=pc:intent=perceptual")
        last = _linked(_source(self._graph, frame), scale)
        last = _linked(last, self._graph.add("format", "gbrp"))
        _linked(last, self._graph.add("buffersink"))

    def fits(self, frame: VideoFrame) -> bool:
        """Whether the frame is of the same kind."""
        return self._kind == _kind(frame)

    def mapped(self, frame: VideoFrame) -> Frames:
        return np.asarray(_filtered(self._graph, frame).to_ndarray(format="rgb24"), np.uint8)


def _kind(frame: VideoFrame) -> tuple[str | int, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, frame.color_trc


def _source(graph: Graph, frame: VideoFrame) -> FilterContext:
    return graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
        f":colorspace={frame.colorspace}:range={frame.color_range}",
    )


def _linked(last: FilterContext, following: FilterContext) -> FilterContext:
    last.link_to(following)
    return following


def _filtered(graph: Graph, frame: VideoFrame) -> VideoFrame:
    graph.configure()
    graph.push(frame)
    made = graph.pull()
    assert isinstance(made, VideoFrame)
    return made
