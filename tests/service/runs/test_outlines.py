"""Outlines of long lists: groups in the order of their labels, columns, and the distribution of a score."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.ledger import OutlineRow
from cosmos_batch.service.runs.input_names import InputNames
from cosmos_batch.service.runs.outlines import Grouping, histogram, outline

UPLOADS = Path("/home/uploads")
NAMES = InputNames(UPLOADS, {"file-a1b2c3d4": "dock 2.mp4", "file-ffee": "fog.mp4"}.get)


def row(name: str, *keys: str | None, state: str = "succeeded") -> OutlineRow:
    """A run of an outline with its values of the groupings."""
    return OutlineRow(name, state, None, None, keys)


def test_runs_of_a_group_follow_one_another_in_the_order_of_the_list() -> None:
    rows = [row("a", "clip10"), row("b", None), row("c", "clip2", state="failed"), row("d", "clip10")]
    found = outline(rows, Grouping("sweep", ""), NAMES)
    assert found.ids == ["c", "a", "d", "b"]
    assert [(group.label, group.runs) for group in found.groups] == [("clip2", 1), ("clip10", 2), ("", 1)]
    assert found.counts == {"succeeded": 3, "failed": 1}
    assert (found.columns, found.cells) == ([], [])


def test_videos_are_grouped_under_the_names_of_their_files() -> None:
    paths = ["/data/b/dock.mp4", f"{UPLOADS}/file-a1b2c3d4.mp4", "/data/a/dock.mp4", "/data/a/fog.mp4#frames=8+4"]
    found = outline([row(path, path) for path in paths], Grouping("video", ""), NAMES)
    assert [group.label for group in found.groups] == [
        "a/dock.mp4",
        "b/dock.mp4",
        "dock 2.mp4",
        "fog.mp4#frames=8+4",
    ]


def test_namesakes_among_uploads_differ_by_their_id() -> None:
    names = NAMES.different([f"{UPLOADS}/file-ffee.mp4", "/data/a/fog.mp4", f"{UPLOADS}/file-gone.mp4"])
    assert list(names.values()) == ["fog.mp4 (e-ffee)", "a/fog.mp4", "file-gone"]


def test_columns_of_a_matrix_are_indexes() -> None:
    rows = [row("a", "v1", "rain"), row("b", "v2", "fog"), row("c", "v1", "fog")]
    found = outline(rows, Grouping("video", "prompt"), NAMES)
    assert [column.label for column in found.columns] == ["fog", "rain"]
    assert (found.ids, found.cells) == (["c", "a", "b"], [0, 1, 0])


@pytest.mark.parametrize(
    ("values", "counts"),
    [([], []), ([0.5], [1, 0, 0, 0]), ([0.0, 0.1, 0.25, 0.9, 1.0], [2, 1, 0, 2]), ([-1.0, 3.0], [1, 0, 0, 1])],
)
def test_histogram_counts_every_value_once(values: list[float], counts: list[int]) -> None:
    found = histogram("edge_f1", values, 4)
    assert (found.counts, found.runs) == (counts, len(values))
