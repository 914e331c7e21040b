"""Videos of the runs that join next, read by a thread while other runs are denoised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from cosmos_batch.engines.inprocess.io.input_videos import Videos, bytes_held
from cosmos_batch.media.engine_inputs import needs_models
from cosmos_batch.media.info import FileMark, file_mark, videos_of
from cosmos_batch.run import ResolvedRun

MAX_BYTES = 4 << 30
"""Host memory for the frames of runs that have not joined yet."""


@dataclass(frozen=True, slots=True)
class _Expected:
    run: ResolvedRun
    bytes: int
    reading: Future[tuple[tuple[FileMark, ...], Videos]]  # with the marks of the files from before


class VideoPrefetcher:
    """Reads videos before their runs join.

    A file that was modified since it was read, or that could not be read, is read again when its run joins.
    """

    def __init__(self, read: Callable[[ResolvedRun], Videos]) -> None:
        """`read`: reads a run's videos, in any thread."""
        self._read = read
        self._thread = ThreadPoolExecutor(1, "videos")
        self._expected: dict[str, _Expected] = {}
        self._returned: set[str] = set()  # runs that `fresh` has returned

    def set_expected(self, runs: Sequence[ResolvedRun]) -> None:
        """Read the videos of these runs, in this order, as far as memory suffices; forget all other runs.

        Controls that are made by models on the device are left until the run joins, because denoising needs it.
        """
        for run_id in self._expected.keys() - {run.id for run in runs}:
            self._forget(run_id)
        held = sum(expected.bytes for expected in self._expected.values())
        for run in runs:
            if needs_models(run) or run.id in self._expected:
                continue
            held += (size := bytes_held(run))
            if held > MAX_BYTES:
                return
            self._expected[run.id] = _Expected(run, size, self._thread.submit(self._read_marked, run))

    def fresh(self) -> list[tuple[ResolvedRun, Videos]]:
        """Expected runs whose videos have been read since the last call."""
        found = []
        for run_id, expected in self._expected.items():
            reading = expected.reading
            if run_id not in self._returned and reading.done() and not reading.exception():
                self._returned.add(run_id)
                found.append((expected.run, reading.result()[1]))
        return found

    def expects(self, run: ResolvedRun) -> bool:
        """Whether a run is expected and has not joined."""
        return run.id in self._expected

    def take(self, run: ResolvedRun) -> Videos:
        """Give a run's videos, read now if they were not before. Raises what reading them raises."""
        expected = self._expected.pop(run.id, None)
        self._returned.discard(run.id)
        if expected is not None and expected.run == run and not expected.reading.cancel():
            with suppress(Exception):  # reading again raises the error if it persists
                marks, videos = expected.reading.result()
                if marks == _marks(run):
                    return videos
        return self._read(run)

    def close(self) -> None:
        """Cancel all reading."""
        for run_id in list(self._expected):
            self._forget(run_id)
        self._thread.shutdown()

    def _read_marked(self, run: ResolvedRun) -> tuple[tuple[FileMark, ...], Videos]:
        return _marks(run), self._read(run)

    def _forget(self, run_id: str) -> None:
        self._expected.pop(run_id).reading.cancel()
        self._returned.discard(run_id)


def _marks(run: ResolvedRun) -> tuple[FileMark, ...]:
    """Marks of the files that the run reads. Raises OSError."""
    return tuple(file_mark(path) for path in videos_of(run))
