"""How the benchmark finds the smallest card for a video."""

from __future__ import annotations

import pytest

from benchmarks.gpu.cards import GIB, Case, Found
from benchmarks.gpu.small_cards import CARDS, Known, options_of, smallest


@pytest.mark.parametrize(
    ("believed", "needs", "tried", "card"),
    [
        (14, 14, [16], 16),  # as it was believed, and the peak says that 12 would not do
        (14, 11, [16, 12], 12),  # less: the peak leaves room for a smaller one
        (14, 7, [16, 12, 8], 8),
        (14, 18, [16, 24], 24),  # more; the one below has failed already
        (14, 40, [16, 24, 32], None),  # none of them will do
        (90, 30, [32], 32),  # believed to take more than any has: the largest is tried
        (1, 1, [8], 8),
    ],
)
def test_the_search_begins_where_it_is_believed_to_end(
    believed: int, needs: int, tried: list[int], card: int | None
) -> None:
    seen: list[int] = []

    def attempt(size: int) -> Found | None:
        seen.append(size)
        return Found(peak=needs * GIB) if size >= needs else None

    best = smallest(CARDS, believed * GIB, attempt)
    assert seen == tried
    assert (best and best[0]) == card


def test_a_card_that_the_peak_would_fit_may_still_fail() -> None:
    """What is free may lie in pieces too small."""
    best = smallest(CARDS, 14 * GIB, lambda card: Found(peak=11 * GIB) if card >= 16 else None)
    assert best is not None
    assert best[0] == 16


def test_what_took_more_with_more_offloaded_takes_at_least_that() -> None:
    case, known = Case(832, 480, 93, ("edge",), 2), Known()
    known.add(case, options_of("text,vae,tiles"), 10 * GIB)
    assert known.least(case, options_of("text")) == 10 * GIB
    assert known.least(case, options_of("text,branches,tiles")) == 0
    assert known.least(Case(832, 480, 93, ("edge", "vis"), 2), options_of("text")) == 0
