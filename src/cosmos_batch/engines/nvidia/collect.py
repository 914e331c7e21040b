"""Copies the output of a script, once it is proven to be a run's, to the folder of the run's job."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cosmos_batch.engines.base import Job
from cosmos_batch.errors import StorageError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.outputs import OUTPUT_SUFFIXES, tag_output
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import frames_of, probe


def collect_output(video: Path, controls: Mapping[str, Path], job: Job) -> None:
    """Write the output, with the run's fingerprint in its metadata, and the controls to the job's folder.

    No frame is encoded again, except of controls that are neither MP4 nor PNG or JPEG. Raises MediaError.
    """
    tag_output(video, job.folder / f"output{video.suffix}", {FINGERPRINT: job.run.fingerprint})
    for name, control in controls.items():
        suffix = control.suffix.lower().replace("jpeg", "jpg")
        target = job.folder / f"control_{name}{suffix if suffix in OUTPUT_SUFFIXES else '.mp4'}"
        if target.suffix == suffix:
            try:
                shutil.copyfile(control, target)
            except OSError as exc:
                raise StorageError(f"{target}: cannot be written ({exc.strerror})") from exc
        else:
            write_video(target, frames_of(control), probe(control).fps)
