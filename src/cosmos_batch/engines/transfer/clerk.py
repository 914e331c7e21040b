"""Runs' files, written in a thread of their own: control videos while their run is denoised, outputs while the
next runs are.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.engines.transfer.outputs import write_controls, write_output
from cosmos_batch.errors import StorageError, explain
from cosmos_batch.media.video import Frames

_MOST = 2
"""Outputs to be written at once at most: their frames are in the host's memory as long."""


class Clerk:
    """Writes files in the order in which they are handed in: a run's output after its control videos."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "files")
        self._controls: dict[str, Future[None]] = {}
        self._outputs: dict[str, Future[None]] = {}

    def take_controls(self, job: Job, controls: Mapping[str, Frames]) -> None:
        """Have a run's control videos written."""
        self._controls[job.run.id] = self._thread.submit(write_controls, job, controls)

    def take_output(self, job: Job, frames: Frames) -> None:
        """Have the output of a run written, and thereby its last file."""
        self._outputs[job.run.id] = self._thread.submit(_complete, self._controls[job.run.id], job, frames)

    def make_room(self) -> None:
        """Wait until another output may be handed in."""
        while len(unwritten := [future for future in self._outputs.values() if not future.done()]) >= _MOST:
            wait(unwritten, return_when=FIRST_COMPLETED)

    def wait_for_first(self) -> None:
        """Wait until one of the outputs is written, or cannot be."""
        wait(self._outputs.values(), return_when=FIRST_COMPLETED)

    def over(self) -> list[str]:
        """The runs whose files are written, or cannot be, in the order in which they were handed in."""
        return [run_id for run_id, future in self._outputs.items() if future.done()]

    def result(self, run_id: str) -> Result:
        """What came of a run whose writing is over. Whatever went wrong concerns it alone, as nothing else was
        done in the thread; but StorageError is raised.
        """
        try:
            self._outputs[run_id].result()
        except StorageError:
            raise
        except Exception as exc:
            return Result(run_id, Outcome.FAILED, explain(exc))
        return Result(run_id, Outcome.SUCCEEDED)

    def settle(self, run_id: str) -> None:
        """See that nothing more is written into a run's folder."""
        for futures in (self._outputs, self._controls):
            future = futures.pop(run_id, None)
            if future is not None and not future.cancel():
                wait([future])

    def close(self) -> None:
        """See that nothing more is written at all."""
        for run_id in list(self._controls):
            self.settle(run_id)
        self._thread.shutdown()


def _complete(controls: Future[None], job: Job, frames: Frames) -> None:
    controls.result()
    write_output(job, frames)
