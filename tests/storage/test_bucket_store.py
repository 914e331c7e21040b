"""A store in a bucket: what is repeated, what is refused, and what a missing object is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from cosmos_batch.errors import StorageError
from cosmos_batch.storage.bucket_store import BucketStore
from cosmos_batch.storage.patience import Patience


class Objects:
    """An object store in memory, whose next calls raise the errors it is given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.files: dict[str, bytes] = {}

    def _answer(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)

    def info(self, path: str) -> Mapping[str, object]:
        """Describe an object."""
        self._answer()
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"size": len(self.files[path]), "ETag": '"abc"', "LastModified": "2026-11-30T10:00:00Z"}

    def find(self, path: str, *, detail: bool) -> Mapping[str, Mapping[str, object]]:
        """Describe the objects below a path."""
        assert detail
        self._answer()
        return {key: self.info(key) for key in self.files if key.startswith(f"{path}/")}

    def cat_file(self, path: str) -> bytes:
        """Read an object."""
        self.info(path)
        return self.files[path]

    def pipe_file(self, path: str, value: bytes) -> None:
        """Write an object."""
        self._answer()
        self.files[path] = value

    def put_file(self, lpath: str, rpath: str) -> None:
        """Write an object from a file."""
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def get_file(self, rpath: str, lpath: str) -> None:
        """Copy an object to a file."""
        Path(lpath).write_bytes(self.cat_file(rpath))

    def rm_file(self, path: str) -> None:
        """Delete an object."""
        self.info(path)
        del self.files[path]


def patience(waits: list[float]) -> Callable[[Callable[[BaseException], bool]], Patience]:
    """A patience that notes its waits in place of waiting."""
    return partial(Patience, sleep=waits.append)


def busy() -> OSError:
    return OSError(errno.EBUSY, "Please reduce your request rate")


def test_store_that_is_busy_for_a_minute_is_waited_for() -> None:
    objects, waits = Objects(), list[float]()
    store = BucketStore("s3://bucket/out/", objects, patience=patience(waits))
    store.write("a", b"1")
    objects.errors = [busy() for _ in range(11)]
    store.write("b", b"2")
    assert 60 < sum(waits) < 180
    assert objects.files == {"bucket/out/a": b"1", "bucket/out/b": b"2"}


def test_store_that_never_answered_is_reported_soon() -> None:
    objects, waits = Objects(*(busy() for _ in range(100))), list[float]()
    with pytest.raises(StorageError, match="s3://bucket/out does not answer"):
        BucketStore("s3://bucket/out", objects, patience=patience(waits)).find("a")
    assert sum(waits) < 10


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "AWS_PROFILE"),
        (FileNotFoundError("The specified bucket does not exist"), "there is no such bucket"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "full disk"),
    ],
)
def test_error_that_does_not_pass_is_not_repeated(error: Exception, message: str) -> None:
    objects = Objects(error)
    with pytest.raises(StorageError, match=message):
        BucketStore("s3://bucket/out", objects, patience=patience([])).write("a", b"")
    assert objects.calls == 1


def test_missing_object_is_no_error(tmp_path: Path) -> None:
    store = BucketStore("s3://bucket", Objects(), patience=patience([]))
    assert store.find("a") is None
    assert store.read("a") is None
    assert not store.download("a", tmp_path / "a")
    store.delete(["a"])


def test_objects_are_listed_by_their_keys() -> None:
    store = BucketStore("s3://bucket/out", Objects(), patience=patience([]))
    store.write("b/run.json", b"{}")
    store.write("a/run.json", b"{}")
    (first, second) = store.list("")
    assert (first.key, second.key, first.version) == ("a/run.json", "b/run.json", "abc")
    assert first.modified == 1796032800.0
