"""Pipes in place of files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cosmos_batch.formats import pipes, read_files
from cosmos_batch.formats.pipes import open_bytes


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "runs.json"
    os.mkfifo(path)
    return path


def test_named_pipe_without_a_writer_is_an_error(pipe: Path) -> None:
    with pytest.raises(OSError, match="nothing was written to this pipe"):
        open_bytes(pipe, patience=0.05)


def test_named_pipe_is_read_to_its_end(pipe: Path) -> None:
    writer = threading.Thread(target=pipe.write_bytes, args=(b"{}" * 100_000,))
    writer.start()

    with open_bytes(pipe) as stream:
        assert stream.read() == b"{}" * 100_000

    writer.join()


def test_pipe_that_is_closed_at_once_is_empty(pipe: Path) -> None:
    writer = threading.Thread(target=pipe.write_bytes, args=(b"",))
    writer.start()

    with open_bytes(pipe) as stream:
        assert stream.read() == b""

    writer.join()


def test_pipe_without_a_name_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"[]")
    os.close(writer)

    with open_bytes(Path(f"/dev/fd/{reader}")) as stream:
        assert stream.read() == b"[]"

    os.close(reader)


def test_file_of_runs_that_is_a_silent_pipe_is_a_problem(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes.open_bytes, "__defaults__", (0.05,))

    (problem,) = read_files([pipe]).problems

    assert "cannot be read: nothing was written to this pipe" in str(problem)
