"""Spans behind the paths of videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.spans import Span, file_of, has_span, split_span, with_file


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(100, 50), "#frames=100+50"),
        (Span(0, None), "#frames=0+"),
        (Span(4.0, 2.5, in_seconds=True), "#t=4,6.5"),
        (Span(1 / 3, None, in_seconds=True), "#t=0.333333333"),
        (Span(1e-05, 1.0, in_seconds=True), "#t=0.00001,1.00001"),
    ],
)
def test_span_stands_behind_a_path(span: Span, text: str) -> None:
    assert span.text == text
    path, found = split_span(f"/a b/c#1.mp4{text}")
    assert path == "/a b/c#1.mp4"
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    "path", ["a.mp4", "a#1.mp4", "a.mp4#frames=", "a.mp4#frames=1+0", "a.mp4#t=x", "#frames=1+2"]
)
def test_other_names_are_no_spans(path: str) -> None:
    assert split_span(path) == (path, None)
    assert not has_span(path)
    assert file_of(path) == Path(path)


def test_file_is_renamed_and_the_span_stays() -> None:
    assert with_file("/a.mp4#frames=3+", lambda path: path.replace("a", "b")) == "/b.mp4#frames=3+"
