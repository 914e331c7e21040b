"""Videos of the runs that join next, read in a thread of their own while others are denoised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from cosmos_batch.engines.inprocess.io.input_videos import Videos, bytes_held
from cosmos_batch.media.engine_inputs import needs_models
from cosmos_batch.media.info import FileMark, file_mark, videos_of
from cosmos_batch.run import ResolvedRun

MOST_BYTES = 4 << 30
"""Of the host's memory that frames of runs may take which have not joined yet."""


@dataclass(frozen=True, slots=True)
class _Expected:
    run: ResolvedRun
    bytes: int
    reading: Future[tuple[tuple[FileMark, ...], Videos]]  # with the marks of the files from before


class VideoPrefetcher:
    """Reads ahead. What is read is what reading it when it is taken would give: a file that was touched since
    then is read anew, and so is one that could not be read.
    """

    def __init__(self, read: Callable[[ResolvedRun], Videos]) -> None:
        """`read`: reads a run's videos, in any thread."""
        self._read = read
        self._thread = ThreadPoolExecutor(1, "videos")
        self._expected: dict[str, _Expected] = {}
        self._told: set[str] = set()  # those of them that `fresh` gave

    def set_expected(self, runs: Sequence[ResolvedRun]) -> None:
        """These runs are taken next, in this order, and no others: as far as memory goes, read their videos.

        What takes models on the device to make is left until it is taken, for denoising has the device.
        """
        for run_id in self._expected.keys() - {run.id for run in runs}:
            self._forget(run_id)
        held = sum(expected.bytes for expected in self._expected.values())
        for run in runs:
            if needs_models(run) or run.id in self._expected:
                continue
            held += (size := bytes_held(run))
            if held > MOST_BYTES:
                return
            self._expected[run.id] = _Expected(run, size, self._thread.submit(self._ahead, run))

    def fresh(self) -> list[tuple[ResolvedRun, Videos]]:
        """The runs whose videos have been read since this was last asked, and are still expected."""
        found = []
        for run_id, expected in self._expected.items():
            reading = expected.reading
            if run_id not in self._told and reading.done() and not reading.exception():
                self._told.add(run_id)
                found.append((expected.run, reading.result()[1]))
        return found

    def expects(self, run: ResolvedRun) -> bool:
        """Whether a run is still to be taken."""
        return run.id in self._expected

    def take(self, run: ResolvedRun) -> Videos:
        """A run's videos, read now if they were not before. Raises as reading them does."""
        expected = self._expected.pop(run.id, None)
        self._told.discard(run.id)
        if expected is not None and expected.run == run and not expected.reading.cancel():
            with suppress(Exception):  # whatever it was, reading anew says how things are now
                marks, videos = expected.reading.result()
                if marks == _marks(run):
                    return videos
        return self._read(run)

    def close(self) -> None:
        """Read nothing more."""
        for run_id in list(self._expected):
            self._forget(run_id)
        self._thread.shutdown()

    def _ahead(self, run: ResolvedRun) -> tuple[tuple[FileMark, ...], Videos]:
        return _marks(run), self._read(run)

    def _forget(self, run_id: str) -> None:
        self._expected.pop(run_id).reading.cancel()
        self._told.discard(run_id)


def _marks(run: ResolvedRun) -> tuple[FileMark, ...]:
    """Of the files that the run reads. Raises OSError."""
    return tuple(file_mark(path) for path in videos_of(run))
