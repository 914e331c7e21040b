"""Files of runs, written by a thread: control videos while their run is denoised, outputs while the next runs are.

The guardrail checks outputs in the same thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.engines.inprocess.guardrail import Guardrail, checks_of
from cosmos_batch.errors import StorageError, explain
from cosmos_batch.media.info import FileMark
from cosmos_batch.media.outputs import OutputForm, write_frames
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import Frames

_MAX_OUTPUTS = 2
"""Outputs that may wait to be written: their frames are in the host's memory as long."""


class OutputWriter:
    """Writes files in the order of submission: a run's output after its control videos."""

    def __init__(self, guardrail: Guardrail) -> None:
        self._guardrail = guardrail
        self._thread = ThreadPoolExecutor(1, "files")
        self._controls: dict[str, Future[None]] = {}
        self._outputs: dict[str, Future[Result]] = {}

    def take_controls(self, job: Job, controls: Mapping[str, Frames], form: OutputForm) -> None:
        """Submit a run's control videos."""
        self._controls[job.run.id] = self._thread.submit(write_controls, job, controls, form)

    def take_output(
        self, job: Job, frames: Callable[[], Frames], form: OutputForm, decoded: Mapping[str, FileMark]
    ) -> None:
        """Submit the output of a run, its last file; it is written unless the guardrail blocks it.

        `frames` may wait for the device; `decoded`: marks of the files that the run was made from.
        """
        written, guardrail = self._controls[job.run.id], self._guardrail
        self._outputs[job.run.id] = self._thread.submit(_complete, written, job, frames, form, decoded, guardrail)

    def make_room(self) -> None:
        """Wait until another output may be submitted."""
        while len(unwritten := [future for future in self._outputs.values() if not future.done()]) >= _MAX_OUTPUTS:
            wait(unwritten, return_when=FIRST_COMPLETED)

    def wait_for_first(self) -> None:
        """Wait until one of the outputs is written or has failed."""
        wait(self._outputs.values(), return_when=FIRST_COMPLETED)

    def written(self) -> list[str]:
        """Runs whose files are written or have failed, in the order of submission."""
        return [run_id for run_id, future in self._outputs.items() if future.done()]

    def result(self, run_id: str) -> Result:
        """The result of a run whose files are written or have failed.

        Any error concerns that run alone, but StorageError is raised.
        """
        try:
            return self._outputs[run_id].result()
        except StorageError:
            raise
        except Exception as exc:
            return Result(run_id, Outcome.FAILED, explain(exc))

    def settle(self, run_id: str) -> None:
        """Cancel or await the writing of a run's files: nothing is written into its folder afterwards."""
        futures: tuple[Future[Any] | None, ...] = (
            self._outputs.pop(run_id, None),
            self._controls.pop(run_id, None),
        )
        for future in futures:
            if future is not None and not future.cancel():
                wait([future])

    def close(self) -> None:
        """Cancel or await all writing."""
        for run_id in list(self._controls):
            self.settle(run_id)
        self._thread.shutdown()


def _complete(
    written: Future[None],
    job: Job,
    frames: Callable[[], Frames],
    form: OutputForm,
    decoded: Mapping[str, FileMark],
    guardrail: Guardrail,
) -> Result:
    written.result()
    shown = guardrail.check_video(frames())
    if shown is None:
        return Result(job.run.id, Outcome.BLOCKED, "the guardrail blocked the video")
    write_output(job, shown, form)
    checks = checks_of(guardrail, job.run.sampling.negative_prompt)
    return Result(job.run.id, Outcome.SUCCEEDED, decoded=decoded, guardrail=checks)


def write_controls(job: Job, controls: Mapping[str, Frames], form: OutputForm) -> None:
    """Write control_<name>.<suffix> of each control into the job's folder. Raises StorageError and MediaError."""
    _make_folder(job)
    for name, control in controls.items():
        path = job.folder / f"control_{name}.{form.suffix}"
        write_frames(path, control, job.run.sampling.fps, size=form.size)


def write_output(job: Job, frames: Frames, form: OutputForm) -> None:
    """Write output.<suffix>, the last of a run's files, into the job's folder.

    Its metadata holds the run's fingerprint. Raises StorageError and MediaError.
    """
    _make_folder(job)
    path, tag = job.folder / f"output.{form.suffix}", {FINGERPRINT: job.run.fingerprint}
    write_frames(path, frames, job.run.sampling.fps, size=form.size, metadata=tag)


def _make_folder(job: Job) -> None:
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{job.folder}: the folder cannot be made ({exc.strerror})") from exc
