"""A store in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.errors import StorageError
from cosmos_batch.storage.folder_store import FolderStore


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_written_file_is_found_listed_and_read(folder_store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    folder_store.upload(tmp_path / "a.mp4", "runs/a/1/output.mp4")
    folder_store.write("runs/a/1/run.json", b"{}")
    assert [file.key for file in folder_store.list("runs/a/")] == ["runs/a/1/output.mp4", "runs/a/1/run.json"]
    found = folder_store.find("runs/a/1/output.mp4")
    assert found is not None
    assert found.bytes == 5
    assert folder_store.download("runs/a/1/output.mp4", tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").read_bytes() == b"video"
    assert Path(folder_store.address("runs/a/1/run.json")).read_bytes() == b"{}"


def test_missing_file_is_no_error(folder_store: FolderStore, tmp_path: Path) -> None:
    assert folder_store.find("a") is None
    assert folder_store.read("a") is None
    assert not folder_store.download("a", tmp_path / "a")
    assert folder_store.list("runs/") == []
    folder_store.delete(["a"])


def test_folders_that_become_empty_go_with_their_files(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.write("runs/a/1/run.json", b"{}")
    folder_store.delete(["runs/a/1/run.json"])
    assert not list((tmp_path / "store").iterdir())


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("x")
    with pytest.raises(StorageError, match="not a folder"):
        FolderStore(tmp_path / "store")
