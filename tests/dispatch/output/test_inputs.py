"""Input files: their digests, and whether they are what was decoded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.inputs import InputDigests, InputMeasures, changed_inputs, file_digest
from cosmos_batch.media.info import VideoInfo, file_mark
from tests.support.clips import clip

PLANNED = VideoInfo(1, 1, 1, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "in.mp4"
    file.write_bytes(b"one")
    return str(file)


def test_digest_of_an_input_follows_its_contents(path: str) -> None:
    digest = InputDigests()
    first = digest(path)

    Path(path).write_bytes(b"other")

    assert digest(path) != first


def test_digest_follows_contents_of_the_same_size_and_time(path: str) -> None:
    digest = InputDigests()
    first, status = digest(path), Path(path).stat()

    Path(path).write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert digest(path) != first


def test_file_that_changes_while_it_is_digested_is_digested_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(file: Path) -> str:
        found = file_digest(file)
        if file.read_bytes() == b"one":
            file.write_bytes(b"other")
        return found

    monkeypatch.setattr("cosmos_batch.dispatch.output.inputs.file_digest", slow)

    read = InputDigests().file(path)

    assert (read.mark, read.sha256) == (file_mark(path), file_digest(Path(path)))


def test_file_that_keeps_changing_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(file: Path) -> str:
        with file.open("ab") as stream:
            stream.write(b"more")
        return "digest"

    monkeypatch.setattr("cosmos_batch.dispatch.output.inputs.file_digest", growing)

    with pytest.raises(OSError, match="it is being written"):
        InputDigests().file(path)


def test_unchanged_file_is_what_was_decoded(path: str) -> None:
    files = (InputDigests().file(path),)

    assert not changed_inputs(files, None)
    assert not changed_inputs(files, {path: file_mark(path)})


@pytest.mark.parametrize("change", ["written", "replaced", "gone", "same size and time"])
def test_changed_file_is_named(path: str, tmp_path: Path, change: str) -> None:
    files, status = (InputDigests().file(path),), Path(path).stat()
    if change == "written":
        Path(path).write_bytes(b"other")
    elif change == "gone":
        Path(path).unlink()
    elif change == "replaced":
        (tmp_path / "new").write_bytes(b"one")
        (tmp_path / "new").replace(path)
    else:
        Path(path).write_bytes(b"two")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert changed_inputs(files, None) == [path]
    if change != "gone":
        assert changed_inputs(files, {path: file_mark(path)}) == [path]


def test_change_after_decoding_does_not_matter(path: str) -> None:
    files, decoded = (InputDigests().file(path),), {path: file_mark(path)}

    Path(path).unlink()

    assert not changed_inputs(files, decoded)


def test_new_link_to_a_file_is_no_change(path: str, tmp_path: Path) -> None:
    files = (InputDigests().file(path),)

    (tmp_path / "backup").hardlink_to(path)
    Path(path).chmod(0o600)

    assert not changed_inputs(files, None)


def test_measured_file_is_the_one_that_was_digested(tmp_path: Path) -> None:
    path = clip(tmp_path / "in.mp4", frames=3)
    file, measures = InputDigests().file(str(path)), InputMeasures()

    assert measures.measure(file, PLANNED) == VideoInfo(64, 48, 3, 8.0)

    clip(path, frames=5)
    assert measures.measure(file, PLANNED) == VideoInfo(64, 48, 3, 8.0)
    assert InputMeasures().measure(file, PLANNED) == PLANNED
    assert InputMeasures().measure(file, None) is None
