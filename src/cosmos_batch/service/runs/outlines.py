"""Outlines of long lists: the ids of all runs in their order, by group, and the distribution of a score."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cosmos_batch.ledger import OutlineRow
from cosmos_batch.service.runs.input_names import InputNames
from cosmos_batch.service.schemas.runs import Histogram, Outline, OutlineGroup

_DIGITS = re.compile(r"(\d{1,18})")


class Grouping(NamedTuple):
    """What an outline is grouped by, each as of `SqlQueries.outline`; "": not grouped."""

    group: str
    column: str


def outline(
    rows: Sequence[OutlineRow], grouping: Grouping, names: InputNames, *, has_more: bool = False
) -> Outline:
    """Make the outline of runs, by group, then by column, then as they came. Raises LedgerError.

    `rows`: with one key for each grouping that is not "".
    """
    columns: list[OutlineGroup] = []
    cells: list[int] = []
    if grouping.column:
        columns, rows = _grouped(grouping.column, rows, -1, names)
    groups: list[OutlineGroup] = []
    if grouping.group:
        groups, rows = _grouped(grouping.group, rows, 0, names)
    if grouping.column:
        places = {column.value: at for at, column in enumerate(columns)}
        cells = [places[row.keys[-1]] for row in rows]
    return Outline(
        ids=[row.id for row in rows],
        states=[row.state for row in rows],
        ratings=[row.rating for row in rows],
        scores=[row.score for row in rows],
        groups=groups,
        columns=columns,
        cells=cells,
        counts=dict(Counter(row.state for row in rows)),
        has_more=has_more,
    )


def histogram(name: str, values: Sequence[float], bins: int) -> Histogram:
    """Count values in `bins` intervals of equal width; the last one includes its end."""
    if not values:
        return Histogram(score=name, runs=0, start=0.0, end=0.0, counts=[])
    start, end = min(values), max(values)
    width = (end - start) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - start) / width)) if width else 0] += 1
    return Histogram(score=name, runs=len(values), start=start, end=end, counts=counts)


def _grouped(
    what: str, rows: Sequence[OutlineRow], key: int, names: InputNames
) -> tuple[list[OutlineGroup], list[OutlineRow]]:
    """Make the groups of rows by one of their keys, and bring the rows into the order of the groups."""
    groups = _groups(what, [row.keys[key] for row in rows], names)
    places = {group.value: at for at, group in enumerate(groups)}
    return groups, sorted(rows, key=lambda row: places[row.keys[key]])  # stable


def _groups(what: str, keys: Sequence[str | None], names: InputNames) -> list[OutlineGroup]:
    """Make the groups, in the order of their labels, numbers in them by value; the one without a value last."""
    counts = Counter(keys)
    values = [key for key in counts if key is not None]
    labels: Mapping[str, str] = (
        names.different(values) if what == "video" else dict(zip(values, values, strict=True))
    )
    values.sort(key=lambda value: (_natural(labels[value]), value))
    groups = [OutlineGroup(value=value, label=labels[value], runs=counts[value]) for value in values]
    return groups + ([OutlineGroup(value=None, label="", runs=counts[None])] if None in counts else [])


def _natural(label: str) -> list[tuple[int, int, str]]:
    """The key of a label's place: clip2 before clip10."""
    parts = _DIGITS.split(label.casefold())
    return [(0, int(part), "") if at % 2 else (1, 0, part) for at, part in enumerate(parts)]
