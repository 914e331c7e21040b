"""Contact sheets: a row per run, with its input, controls and output side by side."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS
from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.video import Frames, frames_of, probe, resized

_CONTROLS = tuple(name for name in CONTROLS if name in TRANSFER_CONTROLS)
_COLUMNS = ("input", *_CONTROLS, "output")
_CELL = 200  # pixels: width of a thumbnail; its height follows the first picture
_TEXT = 250  # width of the caption's column
_GAP = 10
_MARGIN = 24
_HEADER = 34
_LINE = 17  # height of a line of the caption
_SMOOTH = 3  # text is drawn larger by this factor and shrunk: OpenCV's strokes are thin and jagged at reading size

_PAPER, _INK, _FAINT, _RULE, _EMPTY = (
    (250, 250, 248),
    (28, 30, 34),
    (118, 122, 130),
    (222, 222, 218),
    (240, 240, 236),
)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a sheet. A missing or damaged video leaves an empty cell with a note."""

    id: str
    prompt: str
    weights: Mapping[str, float]  # of the active controls
    input: Path | None = None
    controls: Mapping[str, Path] = field(default_factory=dict)  # by name, those of Transfer2.5
    output: Path | None = None
    note: str = ""  # how the run ended, where it has no output, for example "blocked"

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
    """One sheet as a picture, [height, width, 3] in RGB."""
    cells = [[_middle(row.video(column)) for column in _COLUMNS] for row in rows]
    height = _cell_height([cell for line in cells for cell in line])
    step = height + _GAP * 2
    sheet = _blank(len(rows) * step, height)
    for index, (row, line) in enumerate(zip(rows, cells, strict=True)):
        top = _MARGIN + _HEADER + index * step + _GAP
        sheet[top - _GAP, _MARGIN:-_MARGIN] = _RULE
        _caption(sheet, row, top, height)
        for place, cell in enumerate(line):
            _place(sheet, cell, _left(place), top, height, _missing(row, _COLUMNS[place], cell))
    return sheet


def _middle(path: Path | None) -> Frames | None:
    """The middle frame of a video; None where it cannot be read."""
    if path is None:
        return None
    try:
        middle = (probe(path).frames - 1) // 2
        return next(islice(frames_of(path), middle, None), None)
    except MediaError:
        return None


def _missing(row: SheetRow, column: str, cell: Frames | None) -> str:
    """The note of an empty cell."""
    if cell is not None:
        return ""
    if row.video(column) is not None:
        return "unreadable"
    return row.note if column == "output" else ""


def _cell_height(cells: Sequence[Frames | None]) -> int:
    """The height of all thumbnails: by the shape of the first picture, and at least that of a caption."""
    shape: tuple[int, ...] = next((cell.shape for cell in cells if cell is not None), (9, 16, 3))
    return max(5 * _LINE, min(2 * _CELL, math.ceil(_CELL * shape[0] / shape[1])))


def _left(place: int) -> int:
    return _MARGIN + _TEXT + _GAP + place * (_CELL + _GAP)


def _blank(body: int, height: int) -> Frames:
    """An empty sheet with the names of the columns."""
    width = _left(len(_COLUMNS)) - _GAP + _MARGIN
    sheet = np.full((_MARGIN * 2 + _HEADER + max(body, height), width, 3), _PAPER, np.uint8)
    _write(sheet, "run", (_MARGIN, _MARGIN + 14), _FAINT)
    for place, name in enumerate(_COLUMNS):
        _write(sheet, name, (_left(place), _MARGIN + 14), _FAINT)
    return sheet


def _caption(sheet: Frames, row: SheetRow, top: int, height: int) -> None:
    weights = "  ".join(f"{name} {weight:g}" for name, weight in row.weights.items())
    room = height // _LINE - 2
    _write(sheet, _fitted(row.id, 1.0), (_MARGIN, top + 13), _INK, bold=True)
    _write(sheet, _fitted(weights, 0.85), (_MARGIN, top + 13 + _LINE), _FAINT, 0.85)
    for index, line in enumerate(_wrapped(row.prompt, 0.85, room)):
        _write(sheet, line, (_MARGIN, top + 15 + (index + 2) * _LINE), _INK, 0.85)


def _place(sheet: Frames, cell: Frames | None, left: int, top: int, height: int, note: str) -> None:
    """Draw a picture into its cell, whole and centred, or the note of an empty cell."""
    area = sheet[top : top + height, left : left + _CELL]
    area[:] = _EMPTY
    if cell is None:
        _write(sheet, note, (left + (_CELL - _width(note, 0.85)) // 2, top + height // 2 + 5), _FAINT, 0.85)
        return
    scale = min(_CELL / cell.shape[1], height / cell.shape[0])
    size = max(1, round(cell.shape[1] * scale)), max(1, round(cell.shape[0] * scale))
    x, y = (_CELL - size[0]) // 2, (height - size[1]) // 2
    area[y : y + size[1], x : x + size[0]] = resized(cell, size)


def _fitted(text: str, scale: float) -> str:
    """Text cut to the caption's width."""
    text = _ascii(text)
    if _width(text, scale) <= _TEXT:
        return text
    while text and _width(text + "...", scale) > _TEXT:
        text = text[:-1]
    return text + "..."


def _wrapped(text: str, scale: float, lines: int) -> list[str]:
    """Text in at most `lines` lines of the caption's width."""
    done: list[str] = []
    words = _ascii(text[:2000]).split()
    while words and len(done) < lines:
        taken = 1
        while taken < len(words) and _width(" ".join(words[: taken + 1]), scale) <= _TEXT:
            taken += 1
        last = len(done) == lines - 1
        done.append(_fitted(" ".join(words if last else words[:taken]), scale))
        words = words[taken:]
    return done


def _ascii(text: str) -> str:
    """Text in the characters of OpenCV's font: accents are dropped, other characters become "?"."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return "".join(sign if " " <= sign <= "~" else " " if sign.isspace() else "?" for sign in plain)


_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.46  # of the font at its own size: capitals of about 10 pixels


def _width(text: str, scale: float) -> int:
    return -(-cv2.getTextSize(text, _FONT, _SCALE * scale * _SMOOTH, 2)[0][0] // _SMOOTH)


def _write(
    sheet: Frames, text: str, at: tuple[int, int], colour: Colour, scale: float = 1.0, *, bold: bool = False
) -> None:
    """Draw text with its baseline's left end `at` (x, y), cut at the sheet's edge."""
    left, base = at
    strip = sheet[base - _LINE + 3 : base + 6, left : left + _width(text, scale) + 4]
    large = cv2.resize(strip, None, fx=_SMOOTH, fy=_SMOOTH, interpolation=cv2.INTER_NEAREST)
    thick = 4 if bold else 1
    origin = (0, (_LINE - 3) * _SMOOTH)
    cv2.putText(large, text, origin, _FONT, _SCALE * scale * _SMOOTH, colour, thick, cv2.LINE_AA)
    strip[:] = cv2.resize(large, (strip.shape[1], strip.shape[0]), interpolation=cv2.INTER_AREA)
