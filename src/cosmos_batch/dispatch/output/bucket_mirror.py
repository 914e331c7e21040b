"""Outputs in a bucket: a folder of this machine is where they are made, checked and found again.

Keys are as in an output folder: `<id>/output.mp4`, `<id>/run.json`, `manifest.jsonl`. The objects of a run are
written before its `run.json`, and deleted after it, so that one with a `run.json` is whole.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cosmos_batch.dispatch.output.directory import RUN_FILE, OutputDirectory
from cosmos_batch.errors import StorageError
from cosmos_batch.storage.store import Store

TRANSFERS = 8  # runs that are uploaded, or downloaded, at the same time


def folder_for(url: str) -> Path:
    """The folder of this machine for the outputs of a bucket's address, in the user's cache."""
    from platformdirs import user_cache_path

    return user_cache_path("cosmos-batch") / "outputs" / hashlib.sha256(url.encode()).hexdigest()[:32]


class BucketMirror:
    """Keeps a bucket and the output folder of a command alike. Only the main thread calls it."""

    def __init__(self, store: Store) -> None:
        self.url = store.url
        self._store = store
        self._pool = ThreadPoolExecutor(TRANSFERS, "bucket")
        self._stored: dict[str, set[str]] = {}  # names of a run's objects, by its id
        self._alike: set[str] = set()  # runs whose objects are those of the folder
        self._uploads: dict[str, Future[None]] = {}

    def fetch(self, folder: OutputDirectory, run_ids: Iterable[str]) -> None:
        """Download the outputs of runs that the bucket has, and the folder has not or has otherwise.

        Raises StorageError.
        """
        stored: defaultdict[str, set[str]] = defaultdict(set)
        for file in self._store.list(""):
            run_id, _, name = file.key.partition("/")
            if name and "/" not in name and not name.startswith("."):
                stored[run_id].add(name)
        wanted = [run_id for run_id in run_ids if RUN_FILE in stored.get(run_id, ())]
        self._stored = dict(stored)
        found = self._pool.map(lambda run_id: self._fetch(folder, run_id, stored[run_id]), wanted)
        self._alike.update(run_id for run_id, alike in zip(wanted, found, strict=True) if alike)

    def _fetch(self, folder: OutputDirectory, run_id: str, names: Iterable[str]) -> bool:
        """Download the objects of a run; returns whether the folder has them now."""
        target = folder.published(run_id)
        described = self._store.read(f"{run_id}/{RUN_FILE}")
        if described is None or folder.obstacle(run_id):
            return False
        here = target / RUN_FILE
        if here.is_file() and here.read_bytes() == described:
            return True
        part = folder.home / "work" / f"fetched-{run_id}"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            whole = all(self._store.download(f"{run_id}/{name}", part / name) for name in names)
            if whole:
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
        except OSError as error:
            raise StorageError(
                f"the folder {folder.root} cannot take {run_id} from {self.url}: {error}"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return whole

    def publish(self, folder: Path, run_id: str) -> None:
        """Upload a run's output from its folder, in a thread of its own, unless the bucket has it already."""
        if run_id in self._alike:
            self._alike.discard(run_id)  # a later call is of another output
            return
        if earlier := self._uploads.pop(run_id, None):
            earlier.exception()  # wait: the order of two uploads of a run matters
        self._uploads[run_id] = self._pool.submit(self._upload, folder, run_id)

    def _upload(self, folder: Path, run_id: str) -> None:
        names = {path.name for path in folder.iterdir() if path.is_file()}
        before = self._stored.get(run_id, set())
        if RUN_FILE in before:
            self._store.delete([f"{run_id}/{RUN_FILE}"])
            self._store.delete([f"{run_id}/{name}" for name in before - names - {RUN_FILE}])
        for name in sorted(names - {RUN_FILE}):
            self._store.upload(folder / name, f"{run_id}/{name}")
        self._store.upload(folder / RUN_FILE, f"{run_id}/{RUN_FILE}")
        self._stored[run_id] = names

    def finish(self, files: Iterable[Path]) -> None:
        """Wait for all uploads, and upload the files of the whole command. Raises StorageError."""
        failed = {run_id: error for run_id, one in self._uploads.items() if (error := one.exception())}
        self._pool.shutdown()
        if failed:
            first = next(iter(failed.values()))
            raise StorageError(f"{len(failed)} outputs are made and not in {self.url} yet: {first}") from first
        for file in files:
            self._store.upload(file, file.name)
