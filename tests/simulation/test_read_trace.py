"""Traces from JSON lines: every problem of every line at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.errors import InputError
from cosmos_batch.run import Priority
from cosmos_batch.simulation.read_trace import read_trace


def written(folder: Path, *lines: object) -> Path:
    """A trace of these lines; text stays as it is."""
    path = folder / "trace.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_runs_are_read_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    lines = [
        {"at": 5, "controls": ["edge"], "priority": "urgent", "owner": "b"},
        "",
        {"at": 1.5, "controls": {"depth": 0.5, "seg": 0}, "num_steps": 10, "owner": "a", "breaks_at": 3},
        {"at": 6, "controls": ["edge"], "priority": 100, "owner": "b", "id": "last"},
    ]
    trace = read_trace(written(tmp_path, *lines), TRANSFER25)
    assert trace.at.tolist() == [1.5, 5.0, 6.0]
    runs = [trace.templates[each] for each in trace.template]
    assert [run.signature for run in runs] == [("depth",), ("edge",), ("edge",)]
    assert runs[0].sampling.num_steps == 10
    assert runs[1].priority == Priority.URGENT
    assert len(trace.templates) == 2  # equal requests are kept once
    assert trace.owner is not None
    assert [trace.owners[each] for each in trace.owner] == ["a", "b", "b"]
    assert trace.breaks_at == {0: 3}


def test_every_problem_names_its_line_and_field(tmp_path: Path) -> None:
    lines = [
        {"at": -1, "controls": ["edge"]},
        {"controls": ["egde"], "at": 1},
        "{",
        "[1]",
        {"at": 1, "controls": []},
        {"at": 1, "controls": ["edge"], "stepps": 3},
        {"at": 1, "controls": ["edge"], "resolution": "321"},
        {"at": 1, "controls": ["lidar"]},
        {"at": 2, "controls": ["edge"]},
    ]
    with pytest.raises(InputError) as caught:
        read_trace(written(tmp_path, *lines), TRANSFER25)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3, 4, 5, 6, 7, 8]
    text = str(caught.value)
    for part in ("at = -1", "edge", "is no JSON", "is not an object", "stepps", "321", "lidar"):
        assert part in text


@pytest.mark.parametrize(("content", "message"), [(b"", "holds no run"), (b"\xff", "cannot be read")])
def test_a_file_without_runs_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "trace.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_trace(tmp_path / "trace.jsonl", TRANSFER25)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.jsonl"):
        read_trace(tmp_path / "nothing.jsonl", TRANSFER25)
