"""A finished run's files, in the folder of its job."""

from __future__ import annotations

from collections.abc import Mapping

from cosmos_batch.engines.base import Job
from cosmos_batch.errors import StorageError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import Frames


def write_controls(job: Job, controls: Mapping[str, Frames]) -> None:
    """Leave control_<name>.mp4 of each control in the job's folder. Raises StorageError and MediaError."""
    _make_folder(job)
    for name, control in controls.items():
        write_video(job.folder / f"control_{name}.mp4", control, job.run.sampling.fps)


def write_output(job: Job, frames: Frames) -> None:
    """Leave output.mp4 in the job's folder: the last of its files.

    It carries the run's fingerprint in its metadata, which says whose it is. Raises StorageError and MediaError.
    """
    _make_folder(job)
    write_video(
        job.folder / "output.mp4", frames, job.run.sampling.fps, metadata={FINGERPRINT: job.run.fingerprint}
    )


def _make_folder(job: Job) -> None:
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{job.folder}: the folder cannot be made ({exc.strerror})") from exc
