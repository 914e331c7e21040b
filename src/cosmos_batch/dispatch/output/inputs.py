"""Input files of runs: their contents as they were claimed, and whether these are what was decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from errno import ENOENT
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from cosmos_batch.addresses import is_address
from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.info import FileMark, InputFile, VideoInfo, changed_contents, file_mark, videos_of
from cosmos_batch.run import Run
from cosmos_batch.spans import file_of, split_span

if TYPE_CHECKING:
    from cosmos_batch.storage.copies import Copies  # its clients are imported where an input has an address

AHEAD = 4  # inputs that are fetched at the same time, for runs that start next
_TRIES = 3  # times that a file is read which changes while it is read


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's contents. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class InputFetcher:
    """Fetches the inputs that runs name by addresses: ahead in a thread of its own, or when they are needed.

    Only the main thread of a worker or command touches it.
    """

    def __init__(self, copies: Copies | None = None) -> None:
        self._copies = copies
        self._ahead: dict[str, Future[None]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def expect(self, runs: Iterable[Run]) -> None:
        """Begin to fetch what is missing for runs that are likely to start next."""
        files = dict.fromkeys(split_span(path)[0] for run in runs for path in videos_of(run) if is_address(path))
        for file in files:
            if file_of(file).exists() or (file in self._ahead and not self._ahead[file].done()):
                continue
            self._pool = self._pool or ThreadPoolExecutor(AHEAD, "inputs")
            self._ahead[file] = self._pool.submit(self._fetch, file)

    def fetch(self, path: str) -> None:
        """Fetch the copy of an address where it is missing; do nothing for a path.

        Raises FileNotFoundError where there is no such file, and StorageError where its store cannot be used.
        """
        if is_address(path):
            address = split_span(path)[0]
            try:
                self._fetch(address)
            except StorageError:
                raise
            except MediaError as error:
                raise FileNotFoundError(ENOENT, "no such file", address) from error

    def close(self) -> None:
        """Fetch nothing more ahead."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, address: str) -> None:
        from cosmos_batch.storage.copies import Copies

        self._copies = self._copies or Copies()
        self._copies.fetch(address)


class InputDigests:
    """SHA-256 of input files, each read once while it is unchanged: many runs share an input.

    Only the main thread of a worker or command touches it.
    """

    def __init__(self, fetcher: InputFetcher | None = None) -> None:
        self.fetcher = fetcher or InputFetcher()
        self._known: dict[str, InputFile] = {}

    def __call__(self, path: str | Path) -> str:
        """The digest of a file's contents. Raises OSError."""
        return self.file(str(path)).sha256

    def file(self, path: str) -> InputFile:
        """A file's mark and digest, of the same moment; the copy of an address is fetched where it is missing.

        Raises OSError, also for a file that keeps changing, and StorageError where a store cannot be used.
        """
        self.fetcher.fetch(path)
        file = str(file_of(path))
        for _ in range(_TRIES):
            mark = file_mark(file)
            if file not in self._known or self._known[file].mark != mark:
                self._known[file] = InputFile(file, mark, file_digest(Path(file)))
            if file_mark(file) == mark:
                return replace(self._known[file], path=path)
        raise OSError(None, "it is being written", path)

    def files(self, run: Run) -> tuple[InputFile, ...]:
        """Every file that a run reads. Raises OSError."""
        return tuple(self.file(path) for path in videos_of(run))


def changed_inputs(files: tuple[InputFile, ...], decoded: Mapping[str, FileMark] | None) -> list[str]:
    """Paths of the files whose decoded contents may differ from their digests.

    `decoded`: marks of the files from before and after they were decoded; None: they may have been decoded at any
    time since they were claimed, so they must be unchanged now.
    """
    return [file.path for file in files if not _is_same(file, decoded)]


def _is_same(file: InputFile, decoded: Mapping[str, FileMark] | None) -> bool:
    try:
        mark = file_mark(file.path) if decoded is None else decoded.get(file.path)
        if mark is None or mark == file.mark:
            return mark is not None
        if changed_contents(mark, file.mark):
            return False
        # A new link to a file, or another mode, changes its mark and not its contents.
        return file_digest(file_of(file.path)) == file.sha256 and file_mark(file.path) == mark
    except OSError:
        return False


class InputMeasures:
    """Size, length and rate of input files, each measured once while it is unchanged. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[InputFile, VideoInfo] = {}

    def measure(self, file: InputFile, planned: VideoInfo | None) -> VideoInfo | None:
        """The info of a file; `planned`, which was measured before, where the file is gone or changed since."""
        from cosmos_batch.media.video import probe

        with self._lock:
            if file not in self._known:
                with suppress(OSError, MediaError):
                    found = probe(file.path)
                    if file_mark(file.path) == file.mark:
                        self._known[file] = found
            return self._known.get(file, planned)
