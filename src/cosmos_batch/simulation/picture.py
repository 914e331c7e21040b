"""A picture of simulations as SVG: waiting runs, busy devices and loads over time, a line for each policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from cosmos_batch.simulation.records import Timeline
from cosmos_batch.simulation.summary import Summary

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 900, 170, 90, 40, 46  # pixels
_COLOURS = ("#1b6ca8", "#c8553d", "#4a8f3c", "#8a5fb0", "#b58900", "#3aa6a0", "#777777", "#d45d9c")
_ROWS: Sequence[tuple[str, Callable[[Timeline], list[int]]]] = (
    ("waiting runs", lambda timeline: timeline.waiting),
    ("busy devices", lambda timeline: timeline.busy),
    ("loads so far", lambda timeline: timeline.loads),
)


def picture(summaries: Sequence[Summary]) -> str:
    """Draw the timelines of policies into one SVG document."""
    end = max([summary.makespan for summary in summaries] + [1.0])
    height = _TOP + len(_ROWS) * (_HEIGHT + _GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + _LEFT + 30}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/>{_legend(summaries)}',
    ]
    for row, (title, values) in enumerate(_ROWS):
        parts.append(_chart(title, summaries, values, end, _TOP + row * (_HEIGHT + _GAP)))
    return "\n".join([*parts, "</svg>", ""])


def _legend(summaries: Sequence[Summary]) -> str:
    return "".join(
        f'<text x="{_LEFT + 120 * index}" y="18" fill="{_colour(index)}">{escape(summary.policy)}</text>'
        for index, summary in enumerate(summaries)
    )


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _chart(
    title: str, summaries: Sequence[Summary], values: Callable[[Timeline], list[int]], end: float, top: int
) -> str:
    most = max([max(values(summary.timeline), default=0) for summary in summaries] + [1])
    bottom = top + _HEIGHT
    lines = [
        f'<text x="{_LEFT}" y="{top - 6}">{title}</text>',
        f'<path d="M{_LEFT} {top}V{bottom}H{_LEFT + _WIDTH}" fill="none" stroke="#999"/>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_LEFT + _WIDTH}" y="{bottom + 16}" text-anchor="end">{end / 3600:.2f} h</text>',
    ]
    for index, summary in enumerate(summaries):
        every = summary.timeline.every
        points = " ".join(
            f"{_LEFT + min(1.0, place * every / end) * _WIDTH:.1f},{bottom - value / most * _HEIGHT:.1f}"
            for place, value in enumerate(values(summary.timeline))
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{_colour(index)}" stroke-width="1.5"/>')
    return "\n".join(lines)
