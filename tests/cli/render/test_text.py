"""What a user sees of text, times and sizes."""

from __future__ import annotations

import pytest

from cosmos_batch.cli.render.text import duration, plural, safe, size


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a street", "a street"),
        ("снег 🚗", "снег 🚗"),
        ("two\nlines", "two\\x0alines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("left\N{RIGHT-TO-LEFT OVERRIDE}right", "left\\u202eright"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),  # consoles print it as it is: they read no markup
        ("a" * 20, "a" * 9 + "…"),
    ],
)
def test_text_is_one_harmless_line(given: str, shown: str) -> None:
    assert safe(given, 10 if len(given) == 20 else None) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86400, "1 d"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes_and_counts() -> None:
    assert (size(5 << 20), size(3 << 30)) == ("5 MiB", "3.0 GiB")
    assert (plural(1, "run"), plural(1200, "run"), plural(2, "batch")) == ("1 run", "1,200 runs", "2 batches")
