"""Copies the output of a script, once it is proven to be a run's, to the folder of the run's job."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cosmos_batch.engines.base import Job
from cosmos_batch.errors import StorageError
from cosmos_batch.media.encode import tag_video, write_video
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import frames_of, probe


def collect_output(video: Path, controls: Mapping[str, Path], job: Job) -> None:
    """Write output.mp4, with the run's fingerprint in its metadata, and control_<name>.mp4 to the job's folder.

    No frame is encoded again, except of pictures and of controls in another container than MP4. Raises MediaError.
    """
    tag, output = {FINGERPRINT: job.run.fingerprint}, job.folder / "output.mp4"
    if video.suffix == ".mp4":
        tag_video(video, output, tag)
    else:
        write_video(output, frames_of(video), job.run.sampling.fps, metadata=tag)
    for name, control in controls.items():
        target = job.folder / f"control_{name}.mp4"
        if control.suffix.lower() == ".mp4":
            try:
                shutil.copyfile(control, target)
            except OSError as exc:
                raise StorageError(f"{target}: cannot be written ({exc.strerror})") from exc
        else:
            write_video(target, frames_of(control), probe(control).fps)
