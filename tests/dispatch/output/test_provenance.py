"""run.json: its contents, and the check of a finished run against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.provenance import (
    AttemptInfo,
    InputDigests,
    check_published,
    describe,
    request_key,
    write_description,
)
from cosmos_batch.errors import OutputError
from cosmos_batch.run import Control, Run

IDENTITY = {"engine": "replay", "weights": "m"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "in.mp4").write_bytes(b"input")
    return Run(
        id="a", prompt="a street", controls=(Control(name="edge", weight=1.0, video=str(tmp_path / "in.mp4")),)
    )


@pytest.fixture
def finished(tmp_path: Path, run: Run) -> Path:
    """The folder of a finished run."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "output.mp4").write_bytes(b"output")
    info = AttemptInfo(attempt=1, batch=2, batch_runs=("a", "b"), started=10.0, ended=12.5, resumed=False)
    write_description(folder, describe(run, folder, IDENTITY, InputDigests(), info))
    return folder


def test_description_keeps_the_names_of_its_fields(finished: Path, run: Run) -> None:
    info = AttemptInfo(1, 2, ("a", "b"), 10.0, 12.5, False)

    described = describe(run, finished, IDENTITY, InputDigests(), info)

    assert list(described) == [
        *("id", "fingerprint", "key", "run", "inputs", "made_by"),
        *("attempt", "batch", "company", "started", "ended", "resumed"),
        *("seconds", "outputs", "approximations"),
    ]
    assert described["company"] == ("a", "b")
    assert described["seconds"] == 2.5


def test_finished_run_answers_its_request_only(finished: Path, run: Run) -> None:
    check_published(finished, request_key(run, IDENTITY, InputDigests()))

    with pytest.raises(OutputError, match="other settings, inputs or another model"):
        check_published(finished, request_key(run, {"engine": "replay", "weights": "n"}, InputDigests()))


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("output.mp4", b"changed", "damaged or replaced"),
        ("output.mp4", None, "missing or unreadable"),
        ("run.json", b"{", "is damaged"),
        ("run.json", None, "holds no run.json"),
    ],
)
def test_damaged_run_is_refused(finished: Path, run: Run, name: str, contents: bytes | None, message: str) -> None:
    if contents is None:
        (finished / name).unlink()
    else:
        (finished / name).write_bytes(contents)

    with pytest.raises(OutputError, match=message):
        check_published(finished, request_key(run, IDENTITY, InputDigests()))


def test_digest_of_an_input_follows_its_contents(tmp_path: Path) -> None:
    digest, path = InputDigests(), tmp_path / "in.mp4"
    path.write_bytes(b"one")
    first = digest(path)

    path.write_bytes(b"other")

    assert digest(path) != first
