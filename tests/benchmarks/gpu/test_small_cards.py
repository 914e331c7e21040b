"""Search for the smallest card for a video, and the whole benchmark on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu.cards import GIB, VideoCase, VideoCost
from benchmarks.gpu.small_cards import CARDS, PeakRecords, main, options_of, smallest


@pytest.mark.parametrize(
    ("predicted", "needs", "tried", "card"),
    [
        (14, 14, [16], 16),  # as predicted; the peak exceeds 12
        (14, 11, [16, 12], 12),  # less: the peak fits a smaller card
        (14, 7, [16, 12, 8], 8),
        (14, 18, [16, 24], 24),  # more; the card below has failed already
        (14, 40, [16, 24, 32], None),  # no card suffices
        (90, 30, [32], 32),  # predicted to need more than any card has: the largest is tried
        (1, 1, [8], 8),
    ],
)
def test_search_begins_at_the_predicted_card(
    predicted: int, needs: int, tried: list[int], card: int | None
) -> None:
    seen: list[int] = []

    def attempt(size: int) -> VideoCost | None:
        seen.append(size)
        return VideoCost(peak=needs * GIB) if size >= needs else None

    best = smallest(CARDS, predicted * GIB, attempt)
    assert seen == tried
    assert (best and best[0]) == card


def test_card_that_the_peak_would_fit_may_fail() -> None:
    """Free memory may be fragmented."""
    best = smallest(CARDS, 14 * GIB, lambda card: VideoCost(peak=11 * GIB) if card >= 16 else None)
    assert best is not None
    assert best[0] == 16


def test_peak_with_more_offloaded_is_a_lower_bound() -> None:
    case, peaks = VideoCase(832, 480, 93, ("edge",), 2), PeakRecords()
    peaks.add(case, options_of("text,vae,tiles"), 10 * GIB)
    assert peaks.least(case, options_of("text")) == 10 * GIB
    assert peaks.least(case, options_of("text,branches,tiles")) == 0
    assert peaks.least(VideoCase(832, 480, 93, ("edge", "vis"), 2), options_of("text")) == 0


def test_every_video_succeeds_on_the_smallest_card_on_the_cpu(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    video = ["--sizes", "48x32", "--frames", "9", "--steps", "2", "--controls", "1"]

    main(["--model", str(model), *video, "--sets", "text,vae", "--cards", "8 12", "--json", str(file)])

    (row,) = json.loads(file.read_text())
    assert row["card"] == 8
    assert row["cost"]["parts"].keys() == {"text", "encode", "decode"}
    assert "| text,vae | 48x32x9, controls: 1 | 8 |" in capsys.readouterr().out
