"""Scores of a finished video: how it kept to its controls, how steady it is, and whether it is broken.

The video is read frame by frame beside its input; the costly measures are of at most `MAX_COMPARED` frames, at no
more than `MAX_LONG_SIDE` pixels, so that the cost is bounded whatever the video.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from cosmos_batch.controls import ControlName
from cosmos_batch.media.controls.pixels import blur, edges
from cosmos_batch.media.video import Frames, frames_of, resized
from cosmos_batch.run import Control, Run, Strength
from cosmos_batch.score_names import DIRECTIONS
from cosmos_batch.scoring.measures import (
    EdgeCounts,
    Grey,
    Mask,
    difference,
    edge_counts,
    is_black,
    is_frozen,
    roughness,
    ssim,
)
from cosmos_batch.scoring.scores import VideoScores

MAX_COMPARED = 12
"""Frames of a video, evenly spaced, of which edges and noise are measured."""
MAX_BLURRED = 4
"""Frames of a video, evenly spaced, of which the blur is compared: blurring costs ten times as much as edges."""
MAX_LONG_SIDE = 1280
"""Pixels of the longer side at which frames are compared; larger ones are shrunk."""

Value = TypeVar("Value")

_THREADS = 4  # of one video's costly measures, which do not hold Python's lock; each stream is read by one more
_AHEAD = 4  # frames of a stream that are read ahead
_MEASURED_AHEAD = 2 * _THREADS  # costly measures that wait for a thread, with their pictures

_EDGE = 127  # of 255: a control video is an edge where it is lighter
_DIGITS = 4


def score_video(run: Run, output: Path, frames: int) -> VideoScores:
    """Score the output of a run, a video of so many frames or a picture. Raises MediaError.

    `edge_f1` and `blur_ssim` compare with the run's own control video where it gives one, else with the control as
    it is made from the input video, at the control's preset (medium where the run has no such control).
    """
    started = time.perf_counter()
    compared, blurred = _spaced(frames, MAX_COMPARED), _spaced(frames, MAX_BLURRED)
    with ThreadPoolExecutor(_THREADS, "scores") as threads:
        tally = _Tally(_control(run, "edge"), _control(run, "vis"), threads)
        for number, shown in enumerate(_side_by_side(run, output, frames)):
            tally.add(shown)
            if number in compared:
                tally.compare(shown)
            if number in blurred:
                tally.compare_blur(shown)
    return VideoScores(tally.values(), len(compared), round(time.perf_counter() - started, 3))


def _spaced(frames: int, most: int) -> set[int]:
    """At most so many numbers of frames, evenly spaced, the first and the last among them."""
    return set(np.linspace(0, frames - 1, min(frames, most)).round().astype(int).tolist())


def _control(run: Run, name: ControlName) -> Control:
    """The active control of that name; one of the default preset where the run has none."""
    found = (control for control in run.active if control.name == name)
    return next(found, Control(name=name, weight=1.0))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame of the output, and what stands beside it; None: the run has no such video."""

    output: Frames
    input: Frames | None
    edge: Frames | None  # of the control video that the run gives
    vis: Frames | None


def _side_by_side(run: Run, output: Path, frames: int) -> Iterator[_Shown]:
    """Yield the frames of the output, each beside those of the videos that it was made from."""
    sources = (output, run.video, _control(run, "edge").video, _control(run, "vis").video)
    with ExitStack() as threads:
        streams = [
            _read_ahead(frames_of(path), threads.enter_context(ThreadPoolExecutor(1))) if path else repeat(None)
            for path in sources
        ]
        for shown, *beside in islice(zip(*streams, strict=False), frames):
            assert shown is not None  # there is an output
            yield _Shown(shown, *beside)


def _read_ahead(stream: Iterator[Frames], thread: Executor) -> Iterator[Frames]:
    """Yield what a stream yields, of which one thread reads some frames ahead."""
    pending = deque(thread.submit(next, stream, None) for _ in range(_AHEAD))
    while (frame := pending.popleft().result()) is not None:
        pending.append(thread.submit(next, stream, None))
        yield frame


class _Tally:
    """What was measured of the frames so far. Costly measures are made by other threads."""

    def __init__(self, edge: Control, vis: Control, threads: Executor) -> None:
        self._edge, self._vis, self._threads = edge, vis, threads
        self._before: tuple[Grey, Grey | None] | None = None  # of the frame before: output and input
        self._changes: list[float] = []
        self._frozen: list[bool] = []
        self._black: list[bool] = []
        self._noise: list[Future[float]] = []
        self._edges: list[Future[EdgeCounts]] = []
        self._likeness: list[Future[float]] = []

    def add(self, shown: _Shown) -> None:
        """Measure the next frame, beside the one before."""
        now = _grey(shown.output), None if shown.input is None else _grey(shown.input)
        self._black.append(is_black(now[0]) and not (now[1] is not None and is_black(now[1])))
        if self._before is not None:
            self._add_change(self._before, now)
        self._before = now

    def _add_change(self, before: tuple[Grey, Grey | None], now: tuple[Grey, Grey | None]) -> None:
        change = difference(before[0], now[0])
        still = before[1] is not None and now[1] is not None and is_frozen(difference(before[1], now[1]))
        self._changes.append(change)
        self._frozen.append(is_frozen(change) and not still)

    def compare(self, shown: _Shown) -> None:
        """Measure a frame's noise, and compare its edges."""
        self._noise.append(self._threads.submit(_noise_of, shown.output))
        reference = shown.input if shown.edge is None else shown.edge
        if reference is not None:
            made = shown.edge is None
            self._edges.append(
                self._threads.submit(_edge_counts, shown.output, reference, made, self._edge.preset)
            )
        _wait_for_all_but(self._edges, _MEASURED_AHEAD)

    def compare_blur(self, shown: _Shown) -> None:
        """Compare a blurred frame."""
        reference = shown.input if shown.vis is None else shown.vis
        if reference is not None:
            made = shown.vis is None
            self._likeness.append(self._threads.submit(_likeness, shown.output, reference, made, self._vis.preset))

    def values(self) -> dict[str, float]:
        """The scores, without those of which nothing was measured."""
        found: dict[str, Sequence[float]] = {
            "blur_ssim": _results(self._likeness),
            "black": self._black,
            "frozen": self._frozen,
            "noise": _results(self._noise),
        }
        scores = {"edge_f1": sum(_results(self._edges), EdgeCounts()).f1} if self._edges else {}
        scores |= {"steadiness": 1 - _mean(self._changes)} if self._changes else {}
        scores |= {name: _mean(values) for name, values in found.items() if values}
        return {name: round(scores[name], _DIGITS) for name in DIRECTIONS if name in scores}


def _wait_for_all_but(made: Sequence[Future[Value]], count: int) -> None:
    """Wait until at most so many of the last ones may be without a result."""
    if len(made) > count:
        made[-count - 1].result()


def _results(made: Iterable[Future[Value]]) -> list[Value]:
    return [one.result() for one in made]


def _noise_of(output: Frames) -> float:
    return roughness(_grey(output))


def _edge_counts(output: Frames, reference: Frames, made: bool, preset: Strength) -> EdgeCounts:
    """Compare edges with those of the input, which are `made` here, or with a control video."""
    output, reference = _alike(output, reference)
    wanted = edges(reference, preset) if made else reference
    return edge_counts(_lit(wanted), _lit(edges(output, preset)))


def _likeness(output: Frames, reference: Frames, made: bool, preset: Strength) -> float:
    """Compare the blurred output with the blurred input, which is `made` here, or with a control video."""
    output, reference = _alike(output, reference)
    wanted = blur(reference, preset) if made else reference
    return ssim(_grey(wanted), _grey(blur(output, preset)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _grey(picture: Frames) -> Grey:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _lit(picture: Frames) -> Mask:
    return np.asarray(picture[..., 0] > _EDGE)


def _alike(output: Frames, reference: Frames) -> tuple[Frames, Frames]:
    """Both pictures at the reference's size, or at its shape within `MAX_LONG_SIDE`."""
    height, width = reference.shape[:2]
    scale = min(1.0, MAX_LONG_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return resized(output, size), resized(reference, size)
