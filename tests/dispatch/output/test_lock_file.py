"""Lock files: who is refused, what the refusal says, and when a lock is released."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.lock_file import LockFile, is_locked
from cosmos_batch.errors import StorageError

HOLD = """
import sys, time
from pathlib import Path
from cosmos_batch.dispatch.output.lock_file import LockFile
lock = LockFile(Path(sys.argv[1]), "", "", shared=sys.argv[2] == "shared")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path), request.param]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def take(path: Path, *, shared: bool = False) -> LockFile:
    return LockFile(path, "the folder is in use by", "wait for it", shared=shared)


@pytest.mark.parametrize("holder", ["exclusive"], indirect=True)
def test_refusal_names_the_holder_every_time(path: Path, holder: subprocess.Popen[str]) -> None:
    for shared in (False, True, False):
        with pytest.raises(StorageError, match=f"^the folder is in use by process {holder.pid}; wait for it$"):
            take(path, shared=shared)


@pytest.mark.parametrize("holder", ["exclusive", "shared"], indirect=True)
def test_death_of_the_holder_releases_the_lock_and_keeps_the_file(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    inode = path.stat().st_ino
    assert is_locked(path)

    holder.kill()
    holder.wait()

    assert not is_locked(path)
    take(path).release()
    assert path.stat().st_ino == inode
    assert path.read_text() == str(os.getpid())


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("holder", ["shared"], indirect=True)
def test_shared_lock_is_shared_and_keeps_an_exclusive_one_out(path: Path) -> None:
    take(path, shared=True).release()

    with pytest.raises(StorageError, match="is in use by process"):
        take(path)


def test_missing_lock_file_is_not_locked(path: Path) -> None:
    assert not is_locked(path)
    assert not path.exists()
