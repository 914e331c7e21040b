"""Contact sheets show what there is, and say what there is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos_batch.media.contact_sheet import SheetRow, draw_sheet, wrapped, write_sheets
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.lettering import Style
from cosmos_batch.media.video import Frames

COLOURS = {"input": (200, 30, 30), "edge": (30, 200, 30), "output": (30, 30, 200)}


@pytest.fixture
def row(tmp_path: Path) -> SheetRow:
    """Videos of one colour each, so that a cell is identified by its colour."""
    for name, colour in COLOURS.items():
        write_video(tmp_path / f"{name}.mp4", np.full((3, 90, 160, 3), colour, np.uint8), 8, lossless=True)
    return SheetRow(
        id="snow-01",
        prompt="snow falls",
        weights={"edge": 1.0},
        input=tmp_path / "input.mp4",
        controls={"edge": tmp_path / "edge.mp4"},
        output=tmp_path / "output.mp4",
    )


def columns_of(sheet: Frames, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Left and right end of the area of that colour."""
    found = np.flatnonzero((sheet == colour).all(axis=-1).any(axis=0))
    return int(found[0]), int(found[-1]) + 1


def test_row_has_input_control_and_output_from_left_to_right(row: SheetRow) -> None:
    sheet = draw_sheet([row])

    places = [columns_of(sheet, COLOURS[name]) for name in ("input", "edge", "output")]

    assert places == sorted(places)
    assert all(right - left == 200 for left, right in places)


def test_cells_are_aligned_in_columns(row: SheetRow) -> None:
    one, three = draw_sheet([row]), draw_sheet([row, row, row])

    assert one.shape[1] == three.shape[1]
    assert columns_of(one, COLOURS["edge"]) == columns_of(three, COLOURS["edge"])


def test_middle_frame_is_shown(tmp_path: Path) -> None:
    frames = np.zeros((5, 90, 160, 3), np.uint8)
    frames[2] = COLOURS["output"]
    write_video(tmp_path / "output.mp4", frames, 8, lossless=True)

    sheet = draw_sheet([SheetRow(id="r", prompt="", weights={}, output=tmp_path / "output.mp4")])

    assert columns_of(sheet, COLOURS["output"])


def test_missing_and_damaged_videos_leave_a_sheet(tmp_path: Path) -> None:
    (tmp_path / "damaged.mp4").write_text("not a video")
    long = "a prompt 😀 " * 100_000
    rows = [
        SheetRow(id="a" * 128, prompt=long, weights={}, input=tmp_path / "damaged.mp4"),
        SheetRow(id="b", prompt="x" * 5000, weights={"edge": 0.5}, output=tmp_path / "gone.mp4"),
    ]

    sheet = draw_sheet(rows)

    assert (sheet < 60).any()  # there are captions


def test_columns_are_those_of_the_controls_that_were_made(row: SheetRow) -> None:
    without = replace(row, controls={})

    assert draw_sheet([row]).shape[1] - draw_sheet([without]).shape[1] == 210
    assert draw_sheet([without, row]).shape[1] == draw_sheet([row]).shape[1]


def test_seed_is_shown(row: SheetRow) -> None:
    caption = slice(24, 274)

    plain, one, other = (draw_sheet([replace(row, seed=seed)])[:, caption] for seed in (None, 1, 2**62))

    assert not np.array_equal(plain, one)
    assert not np.array_equal(one, other)


def test_chinese_is_wrapped_without_spaces() -> None:
    lines = wrapped("街道上的汽车在雨中行驶" * 20, Style((0, 0, 0)), 4)

    assert len(lines) == 4
    assert lines[-1].endswith("...")
    assert not any(line.endswith("...") for line in lines[:3])


def test_words_are_wrapped_at_spaces() -> None:
    lines = wrapped("one two " * 10, Style((0, 0, 0)), 9)

    assert " ".join(lines).split() == ["one", "two"] * 10
    assert len(lines) > 1


def test_sheets_are_split_and_numbered(row: SheetRow, tmp_path: Path) -> None:
    paths = write_sheets(tmp_path, [row] * 5, per_sheet=2)

    assert [path.name for path in paths] == ["contact_sheet.png", "contact_sheet_2.png", "contact_sheet_3.png"]
    picture = cv2.imread(str(paths[0]))
    assert picture is not None
    assert np.array_equal(picture[..., ::-1], draw_sheet([row, row]))
