"""Draws lines of text in any script into pictures, with the fonts that OpenCV brings.

OpenCV 5 has letters of Latin, Greek, Cyrillic, Hebrew, Arabic, Chinese, Japanese and Korean; Arabic ones are not
joined. OpenCV 4 has ASCII alone. What has no letter is spelled: an Indic script by the sounds of its letters, a
symbol by its name in brackets, anything else by its number, as \\u0e01.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from cosmos_batch.media.video import Frames

Colour = tuple[int, int, int]

LINE = 17
"""Height of a line in pixels."""

_SIZE = 13  # pixels of a capital with its accent
_NORMAL, _BOLD = 400, 600
_INDIC = ("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM")
_SPELLED = frozenset({*_INDIC, "SINHALA", "ETHIOPIC"})
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks."""

    colour: Colour
    scale: float = 1.0
    bold: bool = False


def width_of(text: str, style: Style) -> int:
    """Pixels of a drawable text."""
    if (face := _face()) is None:
        return -(-cv2.getTextSize(text, _STROKES, _STROKE_SCALE * style.scale * _SMOOTH, 2)[0][0] // _SMOOTH)
    weight = _BOLD if style.bold else _NORMAL
    left, _, width, _ = cv2.getTextSize((1, 1), text, (0, 0), face, round(_SIZE * style.scale), weight)
    return int(left + width)


def write(sheet: Frames, text: str, at: tuple[int, int], style: Style) -> None:
    """Draw a drawable text with its baseline's left end `at` (x, y), cut at the sheet's edge."""
    left, base = at
    strip = sheet[base - LINE + 3 : base + 6, left : left + width_of(text, style) + 4]
    face = _face()
    if face is None:
        _write_strokes(strip, in_order(text), style)
        return
    drawn = np.ascontiguousarray(strip)
    weight = _BOLD if style.bold else _NORMAL
    cv2.putText(drawn, in_order(text), (0, LINE - 3), style.colour, face, round(_SIZE * style.scale), weight)
    strip[:] = drawn


def drawable(text: str) -> str:
    """The text in one line, in letters that can be drawn; all else is spelled."""
    made = ""
    for char in unicodedata.normalize("NFC", text):
        if char.isspace():
            made += " "
        elif unicodedata.category(char) == "Cf":  # joins letters, or turns their order; not shown
            continue
        elif _is_drawn(char):
            made += char
        else:
            made = _spelled(made, char)
    return made


def _spelled(before: str, char: str) -> str:
    """What was drawn before, with the spelling of a character."""
    name = unicodedata.name(char, "")
    script, _, rest = name.partition(" ")
    if script in _SPELLED:
        return _with_sound(before, char, rest)
    plain = unicodedata.normalize("NFKD", char)
    if plain != char and all(map(_is_drawn, plain := _without_accents(plain))):
        return before + plain
    if unicodedata.category(char) in ("Mn", "Me") and not script.isalpha():
        return before
    if unicodedata.category(char)[0] in "SP" and name:
        return f"{before}[{name.lower()}]"
    code = ord(char)
    return before + (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _with_sound(before: str, char: str, name: str) -> str:
    """An Indic or Ethiopic character by its sound: a consonant has an "a" unless a vowel or a virama follows."""
    if (digit := unicodedata.digit(char, None)) is not None:
        return f"{before}{digit}"
    sound = name.rpartition(" ")[2].lower()
    if name.startswith("VOWEL SIGN"):
        return before.removesuffix("a") + sound
    if name in ("SIGN VIRAMA", "SIGN AL-LAKUNA"):
        return before.removesuffix("a")
    if name.startswith(("LETTER", "SYLLABLE")):
        return before + sound
    return before + {"SIGN ANUSVARA": "m", "SIGN CANDRABINDU": "m", "SIGN VISARGA": "h"}.get(name, "")


def _without_accents(text: str) -> str:
    return "".join(char for char in text if not unicodedata.combining(char))


def in_order(text: str) -> str:
    """The text with its letters in their order from left to right: Hebrew and Arabic run the other way."""
    classes = [_direction(char) for char in text]
    if "R" not in classes:
        return text
    base = next(each for each in classes if each in "LR")
    levels = _levels(classes, base)
    order = list(range(len(text)))
    for level in range(max(levels), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = end + 1
    return "".join(text[i].translate(_MIRRORED) if levels[i] % 2 else text[i] for i in order)


def _direction(char: str) -> str:
    """L: to the right, R: to the left, N: a digit, "-": as its neighbours."""
    return {"L": "L", "R": "R", "AL": "R", "EN": "N", "AN": "N"}.get(unicodedata.bidirectional(char), "-")


def _levels(classes: list[str], base: str) -> list[int]:
    """The level of each character: odd ones run to the left. A simple form of Unicode's algorithm (UAX 9)."""
    resolved: list[str] = []
    before = base
    for index, each in enumerate(classes):
        after = next((other for other in classes[index + 1 :] if other in "LR"), base)
        resolved.append(each if each != "-" else before if before == after else base)
        before = each if each in "LR" else before
    levels, strong = [], base
    for each in resolved:
        strong = each if each in "LR" else strong
        to_left = each == "R"
        levels.append(1 if to_left else 2 if base == "R" or (each == "N" and strong == "R") else 0)
    return levels


@lru_cache(1)
def _face() -> Any:
    """The font of OpenCV 5; None in OpenCV 4."""
    made = getattr(cv2, "FontFace", None)
    return None if made is None else made("sans")


@lru_cache(65536)
def _is_drawn(char: str) -> bool:
    """Whether the font has a character: a missing one is drawn as a question mark."""
    if " " <= char <= "~":
        return True
    if (face := _face()) is None or unicodedata.category(char)[0] == "C":
        return False
    pictures = []
    for text in (char, "?"):
        picture = np.full((32, 48, 1), 255, np.uint8)
        cv2.putText(picture, text, (8, 24), (0,), face, 18, _NORMAL)
        pictures.append(picture)
    drawn, missing = pictures
    return not np.array_equal(drawn, missing) and bool((drawn < 255).any())


_STROKES = cv2.FONT_HERSHEY_SIMPLEX
_STROKE_SCALE = 0.46  # of the font at its own size: capitals of about 10 pixels
_SMOOTH = 3  # text is drawn larger by this factor and shrunk: the strokes are thin and jagged at reading size


def _write_strokes(strip: Frames, text: str, style: Style) -> None:
    """Draw ASCII into a strip of a line."""
    large = cv2.resize(strip, None, fx=_SMOOTH, fy=_SMOOTH, interpolation=cv2.INTER_NEAREST)
    origin, scale = (0, (LINE - 3) * _SMOOTH), _STROKE_SCALE * style.scale * _SMOOTH
    cv2.putText(large, text, origin, _STROKES, scale, style.colour, 4 if style.bold else 1, cv2.LINE_AA)
    strip[:] = cv2.resize(large, (strip.shape[1], strip.shape[0]), interpolation=cv2.INTER_AREA)
