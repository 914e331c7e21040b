"""Lines of a batch file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.service.batch_jobs.lines import BatchLine, lines_of

GOOD = {"custom_id": "a", "method": "POST", "url": "/v1/videos", "body": {"prompt": "a dock"}}


def test_lines_keep_their_numbers_without_blank_ones() -> None:
    stream = io.BytesIO(b"one\n\n  \n" + b"x" * 25 + b"\nlast")
    found = [(line.number, line.raw, line.too_long) for line in lines_of(stream, 10)]
    assert found == [(1, b"one\n", False), (4, b"", True), (5, b"last", False)]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"method": "GET"}, ["method"]),
        ({"url": "/v1/chat"}, ["url"]),
        ({"body": [1]}, ["body"]),
        ({"custom_id": ""}, ["custom_id"]),
        ({"custom_id": "a\n"}, ["custom_id"]),
        ({"custom_id": "x" * 513}, ["custom_id"]),
        ({"custom_id": "seen"}, ["custom_id"]),
        ({"more": 1}, ["more"]),
        ({"method": None, "url": None, "body": None}, ["method", "url", "body"]),
    ],
)
def test_every_problem_of_a_line_is_reported(change: dict[str, Any], fields: list[str]) -> None:
    line = BatchLine(3, json.dumps(GOOD | change).encode())
    with pytest.raises(InputError) as refused:
        line.request({"seen": 1}, "/v1/videos")
    assert [(problem.line, problem.field) for problem in refused.value.problems] == [
        (3, field) for field in fields
    ]


def test_valid_line_gives_its_body_and_custom_id() -> None:
    seen: dict[str, int] = {}
    line = BatchLine(3, json.dumps(GOOD).encode())
    assert (line.request(seen, "/v1/videos"), line.custom_id, seen) == (GOOD["body"], "a", {"a": 3})
