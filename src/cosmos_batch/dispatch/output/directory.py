"""Output folder: its lock, the private folders of attempts, and the publication of a finished run by one rename.

DIR/<id>/                     a finished run: output.mp4 (a picture: output.png or output.jpg), controls, run.json
DIR/manifest.jsonl            how every run of the latest command ended
DIR/contact_sheet.png         input, controls and output of finished runs, side by side
DIR/manifest.2-of-8.jsonl     the same of the latest command with --shard 2/8
DIR/.cosmos-batch/            lock, ledger.sqlite, work/<attempt>/, state/<run>, kept/<run>/, replaced/<attempt>/;
                              of a shard in shard-2-of-8/
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from cosmos_batch.dispatch.output.lock_file import LockFile, is_locked
from cosmos_batch.dispatch.output.shard import Shard
from cosmos_batch.errors import OutputError, StorageError
from cosmos_batch.media.atomic import describe_folder_error, flush

HOME = ".cosmos-batch"
LOCK = "lock"
LEDGER = "ledger.sqlite"
KEPT = "kept"  # of its home: the best videos so far of runs that have to reach scores
MANIFEST = "manifest.jsonl"
RUN_FILE = "run.json"
OUTPUT = "output.mp4"
PICTURES = ("output.png", "output.jpg")  # the output of a run of one frame, by the kind of its input
RESERVED = re.compile(r"manifest(\.[0-9]+-of-[0-9]+)?\.jsonl|contact_sheet(_[0-9]+)?\.png")
_SHARD = "shard-"  # how the names of the homes of shards begin
_PROBE, _DRAFT = "probe-", ".new"  # how the names of files begin and end that live for a moment
PROBE_BYTES = 64 * 1024  # more than a full file system still grants small files from its reserve


@contextmanager
def folder_errors(root: Path, *, opening: bool = False) -> Iterator[None]:
    """Turn an OSError into a StorageError that names the remedy.

    `opening`: the folder is being opened, and may never have existed; otherwise a missing folder was removed.
    """
    try:
        yield
    except OSError as exc:
        fault = describe_folder_error(exc)
        if exc.errno == errno.ENOENT and not opening:
            fault = f"is gone; put it back, then try again ({exc.strerror})"
        raise StorageError(f"the folder {root} {fault}") from exc


def output_names(frames: int | None) -> tuple[str, ...]:
    """Names that the output of a run of so many frames may have; None: of any number."""
    if frames is None:
        return (OUTPUT, *PICTURES)
    return PICTURES if frames == 1 else (OUTPUT,)


def output_of(folder: Path, frames: int | None = None) -> Path:
    """The output in a folder of a run; where there is none, the path that it would have."""
    candidates = [folder / name for name in output_names(frames)]
    return next((path for path in candidates if path.exists()), candidates[0])


def ledgers_of(root: Path) -> list[Path]:
    """The files of the ledgers of an output folder: of whole commands, and of every shard."""
    return [path for path in _of_all_shards(root, LEDGER) if path.is_file()]


def in_use(root: Path) -> bool:
    """Whether a living process has locked the output folder, or a shard of it."""
    return any(map(is_locked, _of_all_shards(root, LOCK)))


def _of_all_shards(root: Path, name: str) -> list[Path]:
    return [root / HOME / name, *sorted((root / HOME).glob(f"{_SHARD}*/{name}"))]


def discard(root: Path, attempt: int) -> None:
    """Delete the files of an attempt that has ended, or whose process is dead, from an output folder."""
    for part in ("work", "replaced"):
        shutil.rmtree(root / HOME / part / str(attempt), ignore_errors=True)


def kept_attempts(root: Path) -> set[int]:
    """The attempts that have files in an output folder. Raises StorageError."""
    with folder_errors(root):
        found = (path.name for part in ("work", "replaced") for path in (root / HOME / part).iterdir())
        return {int(name) for name in found if name.isdecimal()}


def kept_checkpoints(root: Path) -> set[str]:
    """Ids of the runs that have a checkpoint, or a kept video, in an output folder. Raises StorageError."""
    with folder_errors(root):
        return {_run_id_of(path) for path in _kept_files(root / HOME)}


def delete_checkpoints(root: Path, run_ids: Container[str]) -> None:
    """Delete every checkpoint and every kept video of these runs, of any request. Raises StorageError."""
    with folder_errors(root):
        _delete_checkpoints(root / HOME, run_ids)


def _delete_checkpoints(home: Path, run_ids: Container[str]) -> None:
    for path in _kept_files(home):
        if _run_id_of(path) in run_ids:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _kept_files(home: Path) -> list[Path]:
    """What an output folder keeps of runs that have not ended: a file or a folder for each, named after it."""
    kept = home / KEPT
    return [*(home / "state").iterdir(), *(kept.iterdir() if kept.is_dir() else ())]


def _run_id_of(checkpoint: Path) -> str:
    return checkpoint.name.rpartition("-")[0]


class OutputDirectory:
    """A locked output folder: of one process, or shared by the workers of a service.

    Any thread may read its paths; only the main thread of the process calls its other methods.
    """

    def __init__(
        self,
        root: Path,
        *,
        shared: bool = False,
        place: Callable[[str], None] | None = None,
        shard: Shard | None = None,
    ) -> None:
        """Lock the folder. Raises StorageError, also where another process has locked it.

        `place` gives the output of a run, which is in its folder, a further name; it raises OSError.

        `shared`: beside other processes that share it; the folder must exist. An exclusive lock creates the folder
        where it is missing, and deletes what dead processes left. `shard`: what is locked, and recorded, is that
        shard alone; others may be made at the same time.
        """
        self.root = root.absolute()
        self.home = self.root / HOME / f"{_SHARD}{shard.name}" if shard else self.root / HOME
        self.manifest = f"manifest.{shard.name}.jsonl" if shard else MANIFEST  # the name of its file
        self._place = place
        with folder_errors(self.root, opening=True):
            if not shared:
                for part in ("work", "state", "replaced"):
                    (self.home / part).mkdir(parents=True, exist_ok=True)
            part = f" (shard {shard.number}/{shard.count})" if shard else ""
            state = f"the output folder {self.root}{part} is in use by"
            self._lock = LockFile(self.home / LOCK, state, "wait for it, or choose another", shared=shared)
        try:
            if not shared:
                self._clear_leftovers()
            self.probe()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> OutputDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.home / LEDGER

    def work(self, attempt: int) -> Path:
        """Create the private folder of an attempt, empty, and return it."""
        path = self.home / "work" / str(attempt)
        with folder_errors(self.root):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        return path

    def checkpoint(self, run_id: str, key: str) -> Path:
        """The path of a run's checkpoint; `key` stands for all that shapes its video."""
        return self.home / "state" / f"{run_id}-{key}.safetensors"

    def kept(self, run_id: str, key: str) -> Path:
        """Where videos of a run's attempts are kept, of which the best is published; `key` as for a checkpoint."""
        return self.home / KEPT / f"{run_id}-{key}"

    def delete_checkpoints(self, run_ids: Container[str]) -> None:
        """Delete every checkpoint and kept video of these runs, of any request. Raises StorageError."""
        with folder_errors(self.root):
            _delete_checkpoints(self.home, run_ids)

    def published(self, run_id: str) -> Path:
        """The folder of a finished run."""
        return self.root / run_id

    def publish(self, work: Path, run_id: str) -> None:
        """Publish an attempt's folder as the run's, by one rename; the output of an older request is deleted.

        Raises OutputError where something else has the name, StorageError where the folder cannot be written.
        """
        if obstacle := self.obstacle(run_id):
            raise OutputError(f"{obstacle}; move it elsewhere")
        target = self.published(run_id)
        with folder_errors(self.root):
            flush_files(work)
            replaced = self.home / "replaced" / work.name
            if target.exists():
                target.rename(replaced)
            work.rename(target)
            flush(self.root)
            shutil.rmtree(replaced, ignore_errors=True)
        self.place(run_id)

    def place(self, run_id: str) -> None:
        """Give the output of a finished run its further name, if it is to have one. Raises StorageError."""
        if self._place is not None:
            with folder_errors(self.root):
                self._place(run_id)

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder atomically."""
        with folder_errors(self.root):
            draft = self.home / f"{name}{_DRAFT}"
            draft.write_text(text, encoding="utf-8")
            flush(draft)
            draft.replace(self.root / name)

    def probe(self) -> None:
        """Raise StorageError where the folder cannot be written: full, gone or read-only."""
        path = self.home / f"{_PROBE}{os.getpid()}"
        with folder_errors(self.root), path.open("wb", buffering=0) as stream:
            path.unlink(missing_ok=True)  # at once: a process that is killed later leaves nothing
            stream.write(bytes(PROBE_BYTES))
            os.fsync(stream.fileno())

    def _clear_leftovers(self) -> None:
        """Delete what dead processes left: files of attempts, none of which was published or all, and drafts."""
        with folder_errors(self.root):
            for part in ("work", "replaced"):
                for path in (self.home / part).iterdir():
                    shutil.rmtree(path)
            for pattern in (f"{_PROBE}*", f"*{_DRAFT}"):
                for path in self.home.glob(pattern):
                    path.unlink(missing_ok=True)

    def obstacle(self, run_id: str) -> str:
        """Describe what keeps a run of that id from being published here; "" where nothing does."""
        target = self.published(run_id)
        if RESERVED.fullmatch(run_id):
            return f"{run_id} is the name of a file that is written into every output folder"
        with folder_errors(self.root):
            foreign = _is_foreign(target)
        return f"{target} is in the way and was not made by cosmos-batch" if foreign else ""


def _is_foreign(target: Path) -> bool:
    """Whether cosmos-batch did not make what is there, and so must not delete it."""
    if not target.exists():
        return False
    try:
        return "fingerprint" not in json.loads((target / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return not target.is_dir() or any(target.iterdir())


def flush_files(folder: Path) -> None:
    """Flush a folder and its files to disk. Raises OSError."""
    for path in folder.iterdir():
        flush(path)
    flush(folder)
