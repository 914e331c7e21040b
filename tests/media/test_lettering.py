"""Text of any script in a picture: drawn, or spelled so that it can be read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cosmos_batch.media import lettering
from cosmos_batch.media.lettering import Style, drawable, in_order, width_of, write

INK = Style((0, 0, 0))
has_fonts = hasattr(cv2, "FontFace")  # OpenCV 5


@pytest.fixture
def ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 4, which has no fonts."""
    monkeypatch.setattr(lettering, "_face", lambda: None)
    lettering._is_drawn.cache_clear()


def drawn(text: str) -> bytes:
    sheet = np.full((40, 400, 3), 255, np.uint8)
    write(sheet, drawable(text), (10, 25), INK)
    assert (sheet < 255).any()
    return sheet.tobytes()


@pytest.mark.parametrize(
    "text", ["Ünï", "Ελληνικά", "Кириллица", "中文提示词", "カタカナ", "한국어", "العربية", "שלום", "€ →"]
)
def test_scripts_of_the_font_are_drawn(text: str) -> None:
    assert not has_fonts or drawable(text) == text
    assert len({drawn(text), drawn("?" * len(text))}) == 2


def test_every_letter_is_drawn_as_itself() -> None:
    assert not has_fonts or len({drawn(char) for char in "中文街道自动车한국ابج"}) == 12


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("नमस्ते", "namaste"),
        ("हिन्दी", "hindii"),
        ("a 😀 b", "a [grinning face] b"),
        ("☃", "[snowman]"),
        ("ก", "\\u0e01"),
        ("\ud800", "\\ud800"),
        ("\x07\n\ttab", "\\u0007  tab"),
        ("right\u202eleft\u200d", "rightleft"),
        ("१२", "12"),
    ],
)
def test_other_characters_are_spelled(text: str, spelled: str) -> None:
    assert drawable(text) == spelled


@pytest.mark.usefixtures("ascii_only")
def test_without_fonts_text_is_spelled_in_ascii() -> None:
    assert drawable("Café naïve 中 Я 😀") == "Cafe naive \\u4e2d \\u042f [grinning face]"
    assert width_of("abc", INK) > 0
    assert drawn("Café")


@pytest.mark.parametrize(
    ("logical", "visual"),
    [
        ("plain (text)", "plain (text)"),
        ("אבג", "גבא"),
        ("say אבג now", "say גבא now"),
        ("אבג 12 דה", "הד 12 גבא"),
        ("אב (גד) end", "end (דג) בא"),
        ("the אב גד ה. Done", "the ה דג בא. Done"),
    ],
)
def test_hebrew_and_arabic_run_to_the_left(logical: str, visual: str) -> None:
    assert in_order(logical) == visual


def test_width_is_that_of_the_drawing() -> None:
    sheet = np.full((40, 600, 3), 255, np.uint8)
    text = drawable("a wide WORD 中文 שלום")

    write(sheet, text, (10, 25), INK)

    right = int(np.flatnonzero((sheet < 255).any(axis=(0, 2)))[-1])
    assert abs(right - 10 - width_of(text, INK)) <= 3
