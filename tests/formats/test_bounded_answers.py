"""Hostile records: read in linear time, with answers of bounded length."""

from __future__ import annotations

from typing import Any

import pytest

from cosmos_batch.errors import Problem
from cosmos_batch.formats import read_files
from cosmos_batch.formats.problems import UNKNOWN_KEYS
from tests.support.format_files import Write, minimal

MANY = {f"k{number}": 1 for number in range(40_000)}


def length(problems: tuple[Problem, ...]) -> int:
    """Characters of all problems together."""
    return sum(len(str(problem)) for problem in problems)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (minimal() | MANY, ""),
        (minimal(execution_config={"weights": {"edge": 0.5}} | MANY), "execution_config"),
        (minimal(execution_config={"weights": {"edge": 0.5} | MANY}), "execution_config.weights"),
        (minimal(inputs={"video": "street.mp4"} | MANY), "inputs"),
        ({"input_video_path": "street.mp4", "edge": {}} | MANY, ""),
        ({"input_video_path": "street.mp4", "edge": MANY}, "edge"),
        ({"name": "a", "prompt": "x", "video_path": "street.mp4", "edge": {}} | MANY, ""),
        ({"name": "a", "prompt": "x", "video_path": "street.mp4", "edge": MANY}, "edge"),
        ({"prompt": "x", "vision_path": "street.mp4", "edge": {}} | MANY, ""),
        ({"runs": [minimal()]} | MANY, ""),
    ],
)
def test_unknown_keys_are_named_up_to_a_number_and_then_counted(
    write: Write, record: dict[str, Any], field: str
) -> None:
    problems = read_files([write("runs.json", record)]).problems

    assert len(problems) == UNKNOWN_KEYS + 1
    assert length(problems) < 20_000
    assert (problems[-1].field, problems[-1].found) == (field, f"{len(MANY) - UNKNOWN_KEYS:,} more keys")


def test_late_duplicate_key_is_found(write: Write) -> None:
    text = ",".join(f'"k{number}":1' for number in range(60_000))
    (problem,) = read_files([write("runs.json", f'{{{text},"k59999":2}}')]).problems
    assert 'gives the key "k59999" more than once' in str(problem)


@pytest.mark.parametrize(
    "record",
    [
        minimal() | {"x" * 100_000: 1},
        minimal(inputs={"video": "street.mp4", "x" * 100_000: "a"}),
        minimal(execution_config={"weights": {"edge": 0.5, "x" * 100_000: 1}}),
        minimal(prompt={"x" * 100_000: 1}),
        minimal(id="x" * 100_000),
        minimal(inputs={"video": "x" * 100_000}),
        {"input_video_path": "street.mp4", "edge": {"x" * 100_000: 1}},
        {"runs": [minimal()], "x" * 100_000: 1},
    ],
)
def test_long_key_or_value_is_not_repeated_whole(write: Write, record: dict[str, Any]) -> None:
    problems = read_files([write("runs.jsonl", [record, record])]).problems
    assert problems
    assert length(problems) < 5_000
    assert all("x" * 200 not in str(problem) for problem in problems)


def test_repeated_key_of_any_length_is_not_repeated_whole(write: Write) -> None:
    key = "x" * 100_000
    (problem,) = read_files([write("runs.json", f'{{"{key}":1,"{key}":2}}')]).problems
    assert len(str(problem)) < 500


def test_repeated_ids_get_free_ones(write: Write) -> None:
    records = [minimal(id=id_) for id_ in ("car", "Car", "car-2", "CAR", "car")]

    reading = read_files([write("runs.jsonl", records)])

    assert [run.id for run in reading.runs] == ["car", "car-2"]
    free = [problem.remedy.partition("'")[2].partition("'")[0] for problem in reading.problems]
    assert free == ["Car-3", "CAR-4", "car-5"]


def test_bad_id_gets_a_valid_one(write: Write) -> None:
    native = minimal(id="episode 0001/cam high")
    sample = {"name": "Ünï", "prompt": "x", "video_path": "street.mp4", "edge": {}}
    (first,) = read_files([write("a.json", native)]).problems
    (second,) = read_files([write("b.json", sample)]).problems
    assert "'episode-0001-cam-high' would do" in first.remedy
    assert "'Uni' would do" in second.remedy


def test_address_in_place_of_a_path_is_named(write: Write) -> None:
    (problem,) = read_files([write("a.json", minimal(inputs={"video": "ftp://host/a.mp4"}))]).problems
    assert (problem.message, problem.remedy) == (
        "is an address of a kind that is not read; s3, gs, az, https, http are",
        "download the file, and give its path",
    )
