"""Contact sheets: a row per run, with its input, controls and output side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS
from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.lettering import LINE, Style, drawable, width_of, write
from cosmos_batch.media.video import Frames, frames_of, probe, resized

_CONTROLS = tuple(name for name in CONTROLS if name in TRANSFER_CONTROLS)
_CELL = 200  # pixels: width of a thumbnail; its height follows the first picture
_TEXT = 250  # width of the caption's column
_GAP = 10
_MARGIN = 24
_HEADER = 34

_PAPER, _INK, _FAINT, _RULE, _EMPTY = (
    (250, 250, 248),
    (28, 30, 34),
    (118, 122, 130),
    (222, 222, 218),
    (240, 240, 236),
)


_HEAD, _DETAIL = Style(_FAINT), Style(_FAINT, 0.85)
_TITLE, _BODY = Style(_INK, bold=True), Style(_INK, 0.85)
_WIDE = r"\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef"
_WORDS = re.compile(rf" ?(?:[{_WIDE}]|[^ {_WIDE}]+)")
"""Words, each with the space before it; a letter of Chinese, Japanese or Korean is one by itself."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a sheet. A missing or damaged video leaves an empty cell with a note."""

    id: str
    prompt: str
    weights: Mapping[str, float]  # of the active controls
    input: Path | None = None
    controls: Mapping[str, Path] = field(default_factory=dict)  # by name, those of Transfer2.5
    output: Path | None = None
    seed: int | None = None
    frames: int | None = None  # of each video that were used; None: all

    def video(self, column: str) -> Path | None:
        """The video of a column."""
        if column in _CONTROLS:
            return self.controls.get(column)
        return self.input if column == "input" else self.output


def write_sheets(folder: Path, rows: Sequence[SheetRow], *, per_sheet: int = 24) -> list[Path]:
    """Write contact_sheet.png, and contact_sheet_2.png and so on where there are more than `per_sheet` runs.

    Each picture is the middle frame of its video. Returns the paths. Raises MediaError if one cannot be written.
    """
    paths = []
    for start in range(0, len(rows), per_sheet):
        number = start // per_sheet + 1
        path = folder / ("contact_sheet.png" if number == 1 else f"contact_sheet_{number}.png")
        png = cv2.imencode(".png", draw_sheet(rows[start : start + per_sheet])[..., ::-1])[1]
        with replacing(path) as part:
            part.write_bytes(png.tobytes())
        paths.append(path)
    return paths


def draw_sheet(rows: Sequence[SheetRow]) -> Frames:
    """One sheet as a picture, [height, width, 3] in RGB, with columns for the controls of its rows."""
    columns = ("input", *(name for name in _CONTROLS if any(name in row.controls for row in rows)), "output")
    cells = [[_middle(row.video(column), row.frames) for column in columns] for row in rows]
    height = _cell_height([cell for line in cells for cell in line])
    step = height + _GAP * 2
    sheet = _blank(columns, len(rows) * step, height)
    for index, (row, line) in enumerate(zip(rows, cells, strict=True)):
        top = _MARGIN + _HEADER + index * step + _GAP
        sheet[top - _GAP, _MARGIN:-_MARGIN] = _RULE
        _caption(sheet, row, top, height)
        for place, cell in enumerate(line):
            unreadable = cell is None and row.video(columns[place]) is not None
            _place(sheet, cell, _left(place), top, height, "unreadable" if unreadable else "")
    return sheet


def _middle(path: Path | None, used: int | None) -> Frames | None:
    """The middle frame of a video, or of its frames that were used; None where it cannot be read."""
    if path is None:
        return None
    try:
        count = probe(path).frames
        middle = (min(count, used or count) - 1) // 2
        return next(islice(frames_of(path), middle, None), None)
    except MediaError:
        return None


def _cell_height(cells: Sequence[Frames | None]) -> int:
    """The height of all thumbnails: by the shape of the first picture, and at least that of a caption."""
    shape: tuple[int, ...] = next((cell.shape for cell in cells if cell is not None), (9, 16, 3))
    return max(5 * LINE, min(2 * _CELL, math.ceil(_CELL * shape[0] / shape[1])))


def _left(place: int) -> int:
    return _MARGIN + _TEXT + _GAP + place * (_CELL + _GAP)


def _blank(columns: Sequence[str], body: int, height: int) -> Frames:
    """An empty sheet with the names of the columns."""
    width = _left(len(columns)) - _GAP + _MARGIN
    sheet = np.full((_MARGIN * 2 + _HEADER + max(body, height), width, 3), _PAPER, np.uint8)
    write(sheet, "run", (_MARGIN, _MARGIN + 14), _HEAD)
    for place, name in enumerate(columns):
        write(sheet, name, (_left(place), _MARGIN + 14), _HEAD)
    return sheet


def _caption(sheet: Frames, row: SheetRow, top: int, height: int) -> None:
    seed = [] if row.seed is None else [f"seed {row.seed}"]
    settings = "  ".join([*(f"{name} {weight:g}" for name, weight in row.weights.items()), *seed])
    room = height // LINE - 2
    write(sheet, _fitted(drawable(row.id), _TITLE), (_MARGIN, top + 13), _TITLE)
    write(sheet, _fitted(drawable(settings), _DETAIL), (_MARGIN, top + 13 + LINE), _DETAIL)
    for index, line in enumerate(wrapped(row.prompt, _BODY, room)):
        write(sheet, line, (_MARGIN, top + 15 + (index + 2) * LINE), _BODY)


def _place(sheet: Frames, cell: Frames | None, left: int, top: int, height: int, note: str) -> None:
    """Draw a picture into its cell, whole and centred, or the note of an empty cell."""
    area = sheet[top : top + height, left : left + _CELL]
    area[:] = _EMPTY
    if cell is None:
        write(sheet, note, (left + (_CELL - width_of(note, _DETAIL)) // 2, top + height // 2 + 5), _DETAIL)
        return
    scale = min(_CELL / cell.shape[1], height / cell.shape[0])
    size = max(1, round(cell.shape[1] * scale)), max(1, round(cell.shape[0] * scale))
    x, y = (_CELL - size[0]) // 2, (height - size[1]) // 2
    area[y : y + size[1], x : x + size[0]] = resized(cell, size)


def _fitted(text: str, style: Style) -> str:
    """A drawable text cut to the caption's width."""
    if width_of(text, style) <= _TEXT:
        return text
    text = text[:_TEXT]
    while text and width_of(text + "...", style) > _TEXT:
        text = text[:-1]
    return text + "..."


def wrapped(text: str, style: Style, lines: int) -> list[str]:
    """Text in at most `lines` drawable lines of the caption's width; Chinese and the like break anywhere."""
    done: list[str] = []
    words = [word for part in drawable(text[:2000]).split() for word in _WORDS.findall(f" {part}")]
    for word in words:
        if done and (len(done) == lines or width_of(done[-1] + word, style) <= _TEXT):
            done[-1] += word
        else:
            done.append(word.lstrip())
    return [_fitted(line, style) for line in done[:lines]]
