"""Intervals between frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from cosmos_batch.media.spacing import Intervals, uneven_intervals
from cosmos_batch.media.video import probe
from tests.support.clips import clip, timed_clip

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([], MS),
        ([0], MS),
        ([0, 40, 80, 120], MS),
        ([120, 0, 80, 40], MS),  # in the order of decoding
        ([0, 33, 67, 100, 133, 167], MS),  # 30 per second, rounded to milliseconds
        ([0, 4, 8, 13, 17, 21, 25], MS),  # 240 per second, rounded to milliseconds
        ([0, 40, None, 100], MS),
        ([0, 40, 400], None),
    ],
)
def test_even_or_unknown_intervals_are_none(times: list[int | None], unit: Fraction | None) -> None:
    assert uneven_intervals(times, unit) is None


@pytest.mark.parametrize(
    ("times", "unit", "found"),
    [
        ([0, 40, 140, 180, 280], MS, (0.04, 0.07, 0.1)),
        ([0, 42, 84, 5126, 5168], MS, (0.042, 0.042, 5.042)),  # a gap
        ([0, 1, 2, 4, 5], Fraction(1, 24), (0.041667, 0.041667, 0.083333)),  # one frame is missing
        ([0, 40, 40, 80], MS, (0.0, 0.04, 0.04)),  # two frames at one time
    ],
)
def test_uneven_intervals(times: list[int | None], unit: Fraction, found: tuple[float, ...]) -> None:
    assert uneven_intervals(times, unit) == Intervals(*found)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_intervals_of_a_file_are_probed(tmp_path: Path, suffix: str) -> None:
    varying = probe(timed_clip(tmp_path / f"varying.{suffix}", [0, 40, 140, 180, 280]))
    even = probe(clip(tmp_path / "even.mp4", fps=29.97))

    assert (varying.shortest_interval, varying.usual_interval, varying.longest_interval) == (0.04, 0.07, 0.1)
    assert even.longest_interval is None
