"""The output folder: refusals, messages of errors, publication."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.directory import HOME, OutputDirectory, folder_errors, in_use
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import OutputError, StorageError


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "full disk"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
        (errno.ENOENT, "is gone"),
        (errno.ENOTDIR, "not a folder"),
        (errno.EIO, "reports errors"),
        (errno.EMFILE, "cannot be used"),
    ],
)
def test_error_of_the_disk_names_the_remedy(number: int, message: str) -> None:
    with pytest.raises(StorageError, match=message), folder_errors(Path("out")):
        raise OSError(number, os.strerror(number))


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")

    with pytest.raises(StorageError, match="not a folder"):
        OutputDirectory(tmp_path / "out")


def test_folder_that_never_existed_is_not_said_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist; make it first"):
        OutputDirectory(tmp_path / "out", shared=True)


def test_folder_is_in_use_while_it_is_open(tmp_path: Path) -> None:
    assert not in_use(tmp_path / "out")
    with OutputDirectory(tmp_path / "out"):
        assert in_use(tmp_path / "out")
    assert not in_use(tmp_path / "out")


def test_published_run_replaces_the_output_of_an_older_request(tmp_path: Path) -> None:
    with OutputDirectory(tmp_path / "out") as folder:
        for attempt, text in ((1, "old"), (2, "new")):
            work = folder.work(attempt)
            (work / "run.json").write_text('{"fingerprint": ""}')
            (work / "output.mp4").write_text(text)
            folder.publish(work, "a")

        assert (folder.published("a") / "output.mp4").read_text() == "new"
        assert list((folder.home / "replaced").iterdir()) == []
        assert list((folder.home / "work").iterdir()) == []


@pytest.mark.parametrize("run_id", ["manifest.jsonl", "contact_sheet.png", "contact_sheet_12.png"])
def test_names_of_the_folders_own_files_are_refused_as_run_ids(tmp_path: Path, run_id: str) -> None:
    with OutputDirectory(tmp_path / "out") as folder:
        assert "is the name of a file" in folder.obstacle(run_id)
        assert folder.obstacle("manifest") == ""
        with pytest.raises(OutputError, match="move it elsewhere"):
            folder.publish(folder.work(1), run_id)


def test_leftovers_of_a_dead_process_are_deleted(tmp_path: Path) -> None:
    with OutputDirectory(tmp_path / "out") as folder:
        (folder.work(1) / "half.mp4").write_text("half a vid")

    with OutputDirectory(tmp_path / "out") as folder:
        assert list((folder.home / "work").iterdir()) == []


def test_leftover_probes_and_drafts_are_deleted(tmp_path: Path) -> None:
    home = tmp_path / "out" / HOME
    home.mkdir(parents=True)
    (home / "probe-123").write_bytes(bytes(10))
    (home / "manifest.jsonl.new").write_text("{")

    with OutputDirectory(tmp_path / "out") as folder:
        folder.probe()

        assert sorted(path.name for path in home.iterdir()) == ["lock", "replaced", "state", "work"]


def test_killed_process_leaves_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with OutputDirectory(tmp_path / "out") as folder:
        monkeypatch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.probe()

        assert not list(folder.home.glob("probe-*"))


def test_folder_that_never_was_is_not_to_be_put_back() -> None:

    with pytest.raises(StorageError) as caught:
        ServiceHome(Path("/proc/nowhere")).make()

    assert "put it back" not in str(caught.value)
