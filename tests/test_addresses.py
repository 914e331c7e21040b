"""Addresses in place of paths, and the places of their copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.addresses import copy_of, is_address, name_of
from cosmos_batch.spans import file_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a.mp4", True),
        ("https://host/a.mp4?signature=x", True),
        ("/data/a.mp4", False),
        ("/data/s3://a.mp4", False),
        ("ftp://host/a.mp4", False),
        ("s3:///a.mp4", False),
    ],
)
def test_kinds_that_are_read(text: str, expected: bool) -> None:
    assert is_address(text) is expected


def test_copy_has_a_place_of_its_own_and_the_suffix_of_the_original() -> None:
    first, second = copy_of("s3://bucket/a/clip.MP4"), copy_of("s3://bucket/b/clip.MP4")
    assert first is not None
    assert second is not None
    assert first != second
    assert first.suffix == ".mp4"
    assert copy_of("/data/a.mp4") is None


def test_span_of_an_address_is_read_from_its_copy() -> None:
    assert file_of("s3://bucket/a.mp4#t=1,2") == copy_of("s3://bucket/a.mp4")


def test_path_object_of_an_address_is_the_same_address() -> None:
    assert file_of(Path("s3://bucket/a.mp4")) == copy_of("s3://bucket/a.mp4")


def test_signature_of_a_web_address_is_no_part_of_its_name() -> None:
    assert name_of("https://host/clips/a.mp4?X-Signature=b/c") == "a.mp4"
