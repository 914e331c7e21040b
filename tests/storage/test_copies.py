"""Copies of inputs: fetched once, renewed with their originals, evicted by last use."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosmos_batch.addresses import copy_of
from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.storage.copies import Copies
from cosmos_batch.storage.store import StoredFile

ADDRESS = "s3://bucket/a.mp4"


@dataclass
class Originals:
    """Files by address, each with one version for each content."""

    files: dict[str, bytes]
    downloads: int = 0
    cut: int = 0  # bytes that are missing at the end of a download

    def __call__(self, address: str) -> OneFile:
        return OneFile(self, address)


@dataclass
class OneFile:
    """The original of one address."""

    all: Originals
    address: str

    def find(self) -> StoredFile | None:
        """Find it."""
        content = self.all.files.get(self.address)
        return None if content is None else StoredFile(self.address, len(content), None, str(hash(content)))

    def download(self, target: Path) -> bool:
        """Copy it."""
        self.all.downloads += 1
        content = self.all.files[self.address]
        target.write_bytes(content[: len(content) - self.all.cut])
        return True


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Originals:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Originals({ADDRESS: b"video"})


def test_original_is_fetched_once_while_it_is_unchanged(originals: Originals) -> None:
    copies = Copies(originals)
    for _ in range(2):
        assert copies.fetch(ADDRESS, check=True).read_bytes() == b"video"
    assert originals.downloads == 1


def test_changed_original_is_fetched_again_when_it_is_checked(originals: Originals) -> None:
    copies = Copies(originals)
    copies.fetch(ADDRESS)
    originals.files[ADDRESS] = b"other"
    assert copies.fetch(ADDRESS).read_bytes() == b"video"
    assert copies.fetch(ADDRESS, check=True).read_bytes() == b"other"


def test_missing_original_is_named(originals: Originals) -> None:
    with pytest.raises(MediaError, match=r"s3://bucket/b\.mp4: no such file"):
        Copies(originals).fetch("s3://bucket/b.mp4")


def test_download_that_is_cut_short_leaves_no_copy(originals: Originals) -> None:
    originals.cut = 2
    with pytest.raises(StorageError, match="3 bytes came of 5"):
        Copies(originals).fetch(ADDRESS)
    copy = copy_of(ADDRESS)
    assert copy is not None
    assert not [path for path in copy.parent.iterdir() if not path.name.endswith(".lock")]


def test_copies_that_were_not_used_for_longest_are_evicted(originals: Originals) -> None:
    names = [f"s3://bucket/{name}.mp4" for name in "abc"]
    originals.files = dict.fromkeys(names, b"12345")
    copies = Copies(originals, max_bytes=10)
    made = [copies.fetch(name) for name in names[:2]]
    hour = time.time() - 3600
    os.utime(f"{made[0]}.json", (hour, hour))
    os.utime(f"{made[1]}.json", (hour + 60, hour + 60))
    last = copies.fetch(names[2])
    assert [path.exists() for path in (*made, last)] == [False, True, True]


def test_use_of_a_copy_leaves_its_own_time(originals: Originals) -> None:
    path = Copies(originals).fetch(ADDRESS)
    before = path.stat()
    Copies(originals).fetch(ADDRESS)
    assert path.stat().st_ctime_ns == before.st_ctime_ns
