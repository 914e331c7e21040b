"""Outputs in a bucket, for which a folder stands here: it has the same protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.bucket_mirror import BucketMirror
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.errors import StorageError
from cosmos_batch.storage.folder_store import FolderStore


class RecordingStore(FolderStore):
    """A store that notes what is written and deleted."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: list[str] = []

    def upload(self, source: Path, key: str) -> None:
        """Write a file."""
        self.calls.append(f"+{key}")
        super().upload(source, key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files."""
        keys = list(keys)
        self.calls += [f"-{key}" for key in keys]
        super().delete(keys)


class FullStore(FolderStore):
    """A store that takes nothing."""

    def upload(self, source: Path, key: str) -> None:
        """Refuse."""
        raise StorageError(f"the store is full: {source.name} is not {key}")


def write_output(folder: Path, take: int, *names: str) -> Path:
    """A finished run's folder, as far as a mirror looks at it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("output.mp4", *names):
        (folder / name).write_text(f"{name} {take}")
    (folder / "run.json").write_text(json.dumps({"fingerprint": take}))
    return folder


def test_a_run_is_whole_in_the_bucket_once_its_run_json_is_there(tmp_path: Path) -> None:
    store = RecordingStore(tmp_path / "bucket")
    with OutputDirectory(tmp_path / "here") as folder:
        mirror = BucketMirror(store)
        mirror.fetch(folder, ["a"])
        mirror.publish(write_output(folder.published("a"), 1, "edge.mp4"), "a")
        (folder.root / "manifest.jsonl").write_text("{}")
        mirror.finish([folder.root / "manifest.jsonl"])

    assert store.calls == ["+a/edge.mp4", "+a/output.mp4", "+a/run.json", "+manifest.jsonl"]


def test_another_machine_gets_what_the_bucket_has_and_uploads_nothing_again(tmp_path: Path) -> None:
    write_output(tmp_path / "bucket" / "a", 1)
    write_output(tmp_path / "bucket" / "b", 1).joinpath("run.json").unlink()  # an upload that was cut off
    store = RecordingStore(tmp_path / "bucket")
    with OutputDirectory(tmp_path / "there") as folder:
        mirror = BucketMirror(store)
        mirror.fetch(folder, ["a", "b", "c"])
        mirror.publish(folder.published("a"), "a")
        mirror.finish([])

        assert (folder.published("a") / "output.mp4").read_text() == "output.mp4 1"
        assert not folder.published("b").exists()
    assert store.calls == []


def test_a_run_made_anew_replaces_its_objects_and_the_bucket_wins_over_an_older_folder(tmp_path: Path) -> None:
    write_output(tmp_path / "bucket" / "a", 1, "edge.mp4")
    store = RecordingStore(tmp_path / "bucket")
    with OutputDirectory(tmp_path / "here") as folder:
        write_output(folder.published("a"), 0)
        mirror = BucketMirror(store)
        mirror.fetch(folder, ["a"])
        assert (folder.published("a") / "output.mp4").read_text() == "output.mp4 1"

        (folder.published("a") / "edge.mp4").unlink()
        mirror.publish(folder.published("a"), "a")  # as it was found
        mirror.publish(write_output(folder.published("a"), 2), "a")
        mirror.finish([])

    assert store.calls == ["-a/run.json", "-a/edge.mp4", "+a/output.mp4", "+a/run.json"]
    assert (tmp_path / "bucket" / "a" / "output.mp4").read_text() == "output.mp4 2"


def test_an_output_that_the_bucket_does_not_take_is_an_error_at_the_end(tmp_path: Path) -> None:
    with OutputDirectory(tmp_path / "here") as folder:
        mirror = BucketMirror(FullStore(tmp_path / "bucket"))
        mirror.fetch(folder, ["a"])
        mirror.publish(write_output(folder.published("a"), 1), "a")
        with pytest.raises(
            StorageError, match=r"1 outputs are made and not in .*bucket yet: the store is full: output.mp4"
        ):
            mirror.finish([])
