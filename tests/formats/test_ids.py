"""Valid ids in place of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cosmos_batch.formats.ids import RESERVED_IDS, free_id, valid_id
from cosmos_batch.run import RunId


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("episode 0001/cam high", "episode-0001-cam-high"),
        ("Ünï", "Uni"),
        ("../escape", "escape"),
        ("-x", "x"),
        ("demo:1", "demo-1"),
        ("manifest.jsonl", "run-manifest.jsonl"),
        ("already_valid.1", "already_valid.1"),
    ],
)
def test_nearest_valid_id(text: str, valid: str) -> None:
    assert valid_id(text) == valid


@given(st.text(alphabet=st.characters()))
def test_every_text_gets_an_id_that_is_valid(text: str) -> None:
    suggested = valid_id(text)
    assert TypeAdapter(RunId).validate_python(suggested) == suggested
    assert suggested.casefold() not in RESERVED_IDS
    numbered, _ = free_id(text, set())
    assert TypeAdapter(RunId).validate_python(numbered) == numbered


def test_long_ids_of_equal_beginnings_stay_apart() -> None:
    assert valid_id("x" * 200) != valid_id("x" * 201)
    assert len(valid_id("x" * 200)) == 128


def test_number_that_is_taken_is_not_suggested() -> None:
    assert free_id("car", {"car", "car-2", "car-3"}) == ("car-4", 4)
