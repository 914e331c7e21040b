"""The reader of JSON for files and requests."""

from __future__ import annotations

import json

import pytest

from cosmos_batch.formats.json_text import DuplicateKeyError, MalformedJsonError, parse_json, unstorable_texts


def test_late_duplicate_among_many_keys_is_found() -> None:
    keys = [f'"k{n}":1' for n in range(60_000)]
    with pytest.raises(DuplicateKeyError, match='gives the key "k59999" more than once'):
        parse_json(f"{{{','.join([*keys, keys[-1]])}}}".encode())


def test_first_duplicate_is_named_and_shortened() -> None:
    with pytest.raises(DuplicateKeyError, match='the key "b" more'):
        parse_json(b'{"a": {"b": 1, "c": 2, "b": 3, "c": 4}}')
    with pytest.raises(DuplicateKeyError) as refused:
        parse_json(f'{{"{"k" * 100_000}": 1, "{"k" * 100_000}": 1}}'.encode())
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'"\xe9"', "is not UTF-8 (byte 2 is 0xe9)"),
        (b"\xed\xa0\x80", "is not UTF-8 (byte 1 is 0xed)"),
        (b"{", "is not JSON: expecting property name"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"9" * 10_000, "holds a number with too many digits"),
    ],
)
def test_malformed_text_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(MalformedJsonError) as refused:
        parse_json(raw)
    assert refused.value.message.startswith(message)


def test_texts_that_cannot_be_stored_are_named() -> None:
    value = json.loads('{"a": [1, {"b": "x\\ud800"}], "c": "\\u0000", "\\udfff": 1, "d": "\\ud83d\\ude00"}')
    surrogate, nul = "holds a lone surrogate, which is half of a character", "holds the character NUL"
    assert sorted(unstorable_texts(value)) == [
        ("\\udfff", f"has a name that {surrogate}"),
        ("a[1].b", surrogate),
        ("c", nul),
    ]
