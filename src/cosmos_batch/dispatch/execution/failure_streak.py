"""Stops a command whose first runs all fail for one cause, which no further run would escape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from cosmos_batch.errors import kind_of_cause
from cosmos_batch.media.info import videos_of
from cosmos_batch.run import Run


class FailureStreak:
    """Counts failures of one cause from the first run on, until a run succeeds. Main thread only.

    A cause that names a video of its run is the run's own, and neither counts nor ends the streak. Of a run that
    is to be tried again, the attempts count: the limit is reached with as many as that number of runs may have.
    """

    def __init__(
        self, limit: int | None = None, attempts: int = 1, stop: Callable[[str], None] = lambda _reason: None
    ) -> None:
        """`limit`: runs, None for no limit; `attempts`: of a run at most; `stop`: called once, with the reason."""
        self._limit = limit
        self._attempts = attempts
        self._stop = stop
        self._cause = ""
        self._runs: set[str] = set()  # that have failed for the cause
        self._tries = 0  # failed attempts, those of the failed runs among them
        self._denoised: set[str] = set()  # runs whose outputs are being written: they may yet succeed

    def failed(self, run: Run, cause: str, *, final: bool) -> None:
        """Count a failed attempt; `final`: the run is not tried again."""
        self._denoised.discard(run.id)
        if self._limit is None or _is_own(run, cause):
            return
        alike = kind_of_cause(cause, run.id)
        if alike != self._cause:
            self._cause, self._tries = alike, 0
            self._runs.clear()
        self._tries += 1
        if final:
            self._runs.add(run.id)
        if self._denoised:
            return
        if len(self._runs) >= self._limit:
            self._end(f"the first {len(self._runs)} runs have failed for one cause: {cause}")
        elif self._tries >= self._limit * self._attempts:
            self._end(f"the first {self._tries} attempts have failed for one cause: {cause}")

    def denoised(self, run_id: str) -> None:
        """A run has done all its steps: nothing is decided until its output has been verified."""
        self._denoised.add(run_id)

    def left(self, run_id: str) -> None:
        """An attempt at a run has ended, however."""
        self._denoised.discard(run_id)

    def succeeded(self) -> None:
        """A run has succeeded: from now on no streak of failures stops the command."""
        self._limit = None

    def _end(self, reason: str) -> None:
        self._limit = None
        self._stop(reason)


def _is_own(run: Run, cause: str) -> bool:
    """Whether a cause names a video of the run."""
    return any(PurePath(path).name in cause for path in videos_of(run))
