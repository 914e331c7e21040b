"""A finished run's files, in the folder of its job."""

from __future__ import annotations

from collections.abc import Mapping

from cosmos_batch.engines.base import Job
from cosmos_batch.errors import EngineError
from cosmos_batch.media.check import FINGERPRINT
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames


def write_outputs(job: Job, frames: Frames, controls: Mapping[str, Frames]) -> None:
    """Leave control_<name>.mp4 of each control in the job's folder, and output.mp4 last.

    The output carries the run's fingerprint in its metadata, which says whose it is. Raises StorageError.
    """
    fps = job.run.sampling.fps
    if not isinstance(fps, float):
        raise EngineError(f"run {job.run.id} reached the engine without fps; settle its sampling first")
    job.folder.mkdir(parents=True, exist_ok=True)
    for name, control in controls.items():
        write_video(job.folder / f"control_{name}.mp4", control, fps)
    write_video(job.folder / "output.mp4", frames, fps, metadata={FINGERPRINT: job.run.fingerprint})
