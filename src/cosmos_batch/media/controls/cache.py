"""Cache of made controls by content: the same video with the same settings is never processed twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.atomic import PART, replacing
from cosmos_batch.media.controls.derive import VERSION, Estimator, Recipe, make, recipe_of
from cosmos_batch.media.controls.estimators import TransformersEstimator
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import probe
from cosmos_batch.run import Control
from cosmos_batch.spans import file_of, split_span

_GRACE = 600  # seconds that an entry is kept after its last use: a caller may not have read it yet


class ControlCache:
    """A folder of made control videos, lossless, each under the digest of what it was made from.

    Any number of processes may share a folder: one makes an entry while the others wait for it. An entry whose
    bytes have changed since they were written is made again. With `max_bytes`, the least recently used entries are
    removed after each new one, except those used in the last ten minutes. POSIX only (file locks).
    """

    def __init__(
        self, folder: str | Path, *, max_bytes: int | None = None, estimator: Estimator | None = None
    ) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._estimator = estimator or TransformersEstimator()
        self._digests: dict[tuple[str, int, int, int], str] = {}

    def get_or_make(
        self, video: str | Path, control: Control, *, count: int, size: tuple[int, int], prompt: str = ""
    ) -> Path:
        """The control video made from the first `count` frames of `video`, at `size` = (width, height).

        `prompt` is the run's; seg looks for the things in its first words if the control itself names none.
        Raises MediaError if the video cannot be read, is shorter, or the control cannot be made from it, and
        MissingExtraError if that takes models that are not installed.
        """
        recipe = recipe_of(control, count=count, size=size, prompt=prompt, estimator=self._estimator)
        return self._entry(str(video), recipe)

    def get_or_make_mask(self, video: str | Path, prompt: str, *, count: int, size: tuple[int, int]) -> Path:
        """A mask video, white on the things that `prompt` names. Raises as `get_or_make` does."""
        recipe = Recipe("mask", count, size, prompt=prompt, models=self._estimator.identity)
        return self._entry(str(video), recipe)

    def _entry(self, video: str, recipe: Recipe) -> Path:
        path = self._folder / f"{self._key(video, recipe)}.mp4"
        with _locked(self._folder, path.name[:2]):
            if _intact(path):
                return path
            write_video(path, make(video, recipe, self._estimator), probe(video).fps, lossless=True)
            if self._key(video, recipe) != path.stem:
                path.unlink(missing_ok=True)
                raise MediaError(f"{video}: the file changed while it was read; wait until it is written")
            with replacing(_sum_of(path)) as part:
                part.write_text(_digest(path))
        self._evict(path)
        return path

    def _key(self, video: str, recipe: Recipe) -> str:
        span = video[len(split_span(video)[0]) :]
        content = self._content(file_of(video))
        text = json.dumps([VERSION, [content, span] if span else content, asdict(recipe)], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def _content(self, video: Path) -> str:
        """Digest of a file's bytes, read again only if the file has changed."""
        try:
            stat = video.stat()
            identity = (str(video), stat.st_size, stat.st_mtime_ns, stat.st_ino)
            if identity not in self._digests:
                self._digests[identity] = _digest(video)
            return self._digests[identity]
        except OSError as error:
            raise MediaError(f"{video}: cannot be read ({error.strerror}); check the path") from error

    def _evict(self, newest: Path) -> None:
        """Remove the least recently used entries above the bound, and partial files of killed processes."""
        if self._max_bytes is None:
            return
        aged = time.time() - _GRACE
        for partial in _dated(self._folder.glob(f".*{PART}")):
            if partial.mtime < aged:
                partial.path.unlink(missing_ok=True)
        entries = sorted(_dated(self._folder.glob("*.mp4")))
        total = sum(entry.size for entry in entries)
        for entry in entries:
            if total <= self._max_bytes or entry.mtime >= aged or entry.path == newest:
                return
            entry.path.unlink(missing_ok=True)
            _sum_of(entry.path).unlink(missing_ok=True)
            total -= entry.size


class _Dated(NamedTuple):
    mtime: float
    path: Path
    size: int


def _dated(paths: Iterable[Path]) -> Iterator[_Dated]:
    """Yield the files that still exist; another process may remove them at the same time."""
    for path in paths:
        with suppress(FileNotFoundError):
            stat = path.stat()
            yield _Dated(stat.st_mtime, path, stat.st_size)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock of the folder against other processes and threads; it is released when the process ends."""
    lock = FileLock(folder / f".{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot keep made controls ({error.strerror}); name another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _intact(path: Path) -> bool:
    """Whether an entry exists with unchanged bytes; if so, it is marked as used now."""
    try:
        if _sum_of(path).read_text() != _digest(path):
            return False
        os.utime(path)
    except (OSError, UnicodeDecodeError):
        return False
    return True


def _sum_of(path: Path) -> Path:
    return path.with_suffix(".sum")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
