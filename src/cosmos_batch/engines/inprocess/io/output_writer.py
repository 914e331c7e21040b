"""Runs' files, written in a thread of their own: control videos while their run is denoised, outputs while the
next runs are. The guardrail looks at what is to be written there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.engines.inprocess.guardrail import Guardrail
from cosmos_batch.engines.inprocess.outputs import write_controls, write_output
from cosmos_batch.errors import StorageError, explain
from cosmos_batch.media.video import Frames

_MOST = 2
"""Outputs to be written at once at most: their frames are in the host's memory as long."""


class OutputWriter:
    """Writes files in the order in which they are handed in: a run's output after its control videos."""

    def __init__(self, guardrail: Guardrail) -> None:
        self._guardrail = guardrail
        self._thread = ThreadPoolExecutor(1, "files")
        self._controls: dict[str, Future[None]] = {}
        self._outputs: dict[str, Future[Result]] = {}

    def take_controls(self, job: Job, controls: Mapping[str, Frames]) -> None:
        """Have a run's control videos written."""
        self._controls[job.run.id] = self._thread.submit(write_controls, job, controls)

    def take_output(self, job: Job, frames: Callable[[], Frames]) -> None:
        """Have the output of a run written, and thereby its last file, unless the guardrail blocks it.

        `frames` may wait for them.
        """
        written = self._controls[job.run.id]
        self._outputs[job.run.id] = self._thread.submit(_complete, written, job, frames, self._guardrail)

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
            return self._outputs[run_id].result()
        except StorageError:
            raise
        except Exception as exc:
            return Result(run_id, Outcome.FAILED, explain(exc))

    def settle(self, run_id: str) -> None:
        """See that nothing more is written into a run's folder."""
        futures: tuple[Future[Any] | None, ...] = (
            self._outputs.pop(run_id, None),
            self._controls.pop(run_id, None),
        )
        for future in futures:
            if future is not None and not future.cancel():
                wait([future])

    def close(self) -> None:
        """See that nothing more is written at all."""
        for run_id in list(self._controls):
            self.settle(run_id)
        self._thread.shutdown()


def _complete(written: Future[None], job: Job, frames: Callable[[], Frames], guardrail: Guardrail) -> Result:
    written.result()
    shown = guardrail.check_video(frames())
    if shown is None:
        return Result(job.run.id, Outcome.BLOCKED, "the guardrail blocked the video")
    write_output(job, shown)
    return Result(job.run.id, Outcome.SUCCEEDED)
