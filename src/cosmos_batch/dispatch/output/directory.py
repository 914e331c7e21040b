"""The output folder: who has it, where things lie in it, and how a finished run appears in it at once.

DIR/<id>/                     a finished run: output.mp4, its control videos, run.json
DIR/manifest.jsonl            how every run of the latest command ended
DIR/contact_sheet.png         input, controls and output of finished runs, side by side
DIR/.cosmos-batch/            lock, ledger.sqlite, work/<attempt>/, state/<run>, replaced/<attempt>/
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from cosmos_batch.errors import OutputError, StorageError

HOME = ".cosmos-batch"
LEDGER = "ledger.sqlite"
MANIFEST = "manifest.jsonl"
RUN_FILE = "run.json"
OUTPUT = "output.mp4"
RESERVED = re.compile(r"manifest\.jsonl|contact_sheet(_[0-9]+)?\.png")
PROBE_BYTES = 64 * 1024  # more than a file system hands out from what it keeps back for small files

_MEANINGS = {
    errno.ENOSPC: "is on a full disk; free some space, then give the same command again",
    errno.EDQUOT: "has reached its quota; free some space, then give the same command again",
    errno.EROFS: "cannot be written; choose another, or make it writable",
    errno.EACCES: "cannot be written; choose another, or make it writable",
    errno.EPERM: "cannot be written; choose another, or make it writable",
    errno.ENOENT: "is gone; put it back, then give the same command again",
    errno.ENOTDIR: "is not a folder; choose another",
    errno.EEXIST: "is not a folder; choose another",
    errno.EIO: "is on a disk that reports errors",
}


@contextmanager
def folder_errors(root: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that says what would do."""
    try:
        yield
    except OSError as exc:
        meaning = _MEANINGS.get(exc.errno or 0, "cannot be used")
        raise StorageError(f"the output folder {root} {meaning} ({exc.strerror or exc})") from exc


def in_use(root: Path) -> bool:
    """Whether a living process has the output folder."""
    try:
        handle = os.open(root / HOME / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def discard(root: Path, attempt: int) -> None:
    """Delete what an attempt left in an output folder; it has ended, or its process is dead."""
    for part in ("work", "replaced"):
        shutil.rmtree(root / HOME / part / str(attempt), ignore_errors=True)


def kept_attempts(root: Path) -> set[int]:
    """The attempts of which something lies in an output folder. Raises StorageError."""
    with folder_errors(root):
        found = (path.name for part in ("work", "replaced") for path in (root / HOME / part).iterdir())
        return {int(name) for name in found if name.isdecimal()}


def kept_states(root: Path) -> set[str]:
    """Ids of the runs of which an output folder keeps a mid-denoise state. Raises StorageError."""
    with folder_errors(root):
        return {_run_of(path) for path in (root / HOME / "state").iterdir()}


def forget_states(root: Path, run_ids: Container[str]) -> None:
    """Delete what is kept of these runs' denoising, whatever request it belongs to. Raises StorageError."""
    with folder_errors(root):
        for path in (root / HOME / "state").iterdir():
            if _run_of(path) in run_ids:
                path.unlink(missing_ok=True)


def _run_of(state: Path) -> str:
    return state.name.rpartition("-")[0]


class OutputDirectory:
    """An output folder that this process alone writes to, as long as it lives; or a service's workers together."""

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        """Make the folder if need be, and lock it. Raises StorageError, also where another process has it.

        `shared`: with others that share it, too. Then it must be there; what dead processes left is cleared, as it
        is made, only by who has it alone.
        """
        self.root = root.absolute()
        self.home = self.root / HOME
        with folder_errors(self.root):
            if not shared:
                for part in ("work", "state", "replaced"):
                    (self.home / part).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take_lock(shared)
            if not shared:
                self._clear_leftovers()
            self.probe()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> OutputDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)  # which frees the lock, as the end of the process by any means does

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.home / LEDGER

    def work(self, attempt: int) -> Path:
        """The private folder of an attempt, made empty."""
        path = self.home / "work" / str(attempt)
        with folder_errors(self.root):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        return path

    def state(self, run_id: str, key: str) -> Path:
        """Where the mid-denoise state of a run lies; `key` stands for all that shapes its video."""
        return self.home / "state" / f"{run_id}-{key}.safetensors"

    def forget_states(self, run_ids: Container[str]) -> None:
        """Delete what is kept of these runs' denoising, whatever request it belongs to."""
        forget_states(self.root, run_ids)

    def published(self, run_id: str) -> Path:
        """Where a finished run lies."""
        return self.root / run_id

    def publish(self, work: Path, run_id: str) -> None:
        """Let an attempt's folder appear as the run's, by one rename; what an older request left goes.

        Raises OutputError where something else has the name, StorageError where the folder cannot be written.
        """
        if obstacle := self.obstacle(run_id):
            raise OutputError(f"{obstacle}; move it elsewhere")
        target = self.published(run_id)
        with folder_errors(self.root):
            _sync_files(work)
            replaced = self.home / "replaced" / work.name
            if target.exists():
                target.rename(replaced)
            work.rename(target)
            _sync(self.root)
            shutil.rmtree(replaced, ignore_errors=True)

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder atomically."""
        with folder_errors(self.root):
            draft = self.home / f"{name}.new"
            draft.write_text(text, encoding="utf-8")
            _sync(draft)
            draft.replace(self.root / name)

    def probe(self) -> None:
        """Raise StorageError where nothing can be written: full, gone or read-only."""
        path = self.home / f"probe-{os.getpid()}"
        with folder_errors(self.root):
            try:
                path.write_bytes(bytes(PROBE_BYTES))
                _sync(path)
            finally:
                with suppress(OSError):
                    path.unlink()

    def _take_lock(self, shared: bool) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._lock, kind | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            message = f"the output folder {self.root} is in use by process {owner}; wait for it, or choose another"
            raise StorageError(message) from exc
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def _clear_leftovers(self) -> None:
        """Whoever wrote these is dead: nothing in them was published, or all of it was."""
        with folder_errors(self.root):
            for part in ("work", "replaced"):
                for path in (self.home / part).iterdir():
                    shutil.rmtree(path)

    def obstacle(self, run_id: str) -> str:
        """What keeps a run of that id from being published here; "" where nothing does."""
        target = self.published(run_id)
        if RESERVED.fullmatch(run_id):
            return f"{run_id} is the name of a file that is written into every output folder"
        with folder_errors(self.root):
            foreign = _is_foreign(target)
        return f"{target} is in the way and was not made by cosmos-batch" if foreign else ""


def _is_foreign(target: Path) -> bool:
    """Whether something is there that cosmos-batch has not made, and so must not delete."""
    if not target.exists():
        return False
    try:
        return "fingerprint" not in json.loads((target / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return not target.is_dir() or any(target.iterdir())


def _sync_files(folder: Path) -> None:
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Have the disk keep it: a rename must not survive a power cut that its contents did not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
