"""`python -m tests.support.page.launcher ...`: the cosmos-batch command with a simulated engine, for page tests.

PAGE_PACE names a file with the seconds that a denoising step takes; REPLAY_STEP has to be 1.
REPLAY_FAULTS is as in `tests.support.cli_launcher`.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.inprocess.transfer25.traits import transfer_traits
from cosmos_batch.media.pictures import write_picture
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Sampling
from tests.support.cli_launcher import SimulatedEngines
from tests.support.page.numbered_videos import HEIGHT, WIDTH, write_numbered_video

TRAITS = transfer_traits(
    "replay",
    sizes={"192": {(5, 3): (WIDTH, HEIGHT)}},
    defaults=Sampling(resolution="192", num_steps=4, fps=8.0, num_frames=24),
    chunk_frames=24,
)
PRIOR = replace(
    CostModel.free("replay", "virtual"),
    load=3.0,
    load_branch=0.5,
    step=0.05,
    token=1e-4,
    model_bytes=1_000_000,
    branch_bytes=1000,
    token_bytes=100,
)


class PacedClock:
    """The time of this machine; the pace file has the seconds of a step, and may change during a step."""

    def __init__(self, pace: Path) -> None:
        self._pace = pace

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait as long as the pace file says, for a step; a load (0 seconds) never waits."""
        started = time.monotonic()
        while seconds and time.monotonic() - started < float(self._pace.read_text() or "0"):
            time.sleep(0.01)


def write_outputs(job: Job, shape: Shape) -> None:
    """Write an output and the videos of its controls, of numbered frames, with the run's fingerprint in them.

    Of one frame, they are pictures.
    """
    fps = job.run.sampling.fps
    assert isinstance(fps, float)
    assert (shape.width, shape.height) == (WIDTH, HEIGHT)
    metadata = {FINGERPRINT: job.run.fingerprint}
    if shape.frames == 1:
        picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for name in ("output", *(f"control_{control.name}" for control in job.run.active)):
            write_picture(job.folder / f"{name}.jpg", picture, metadata=metadata)
        return
    write_numbered_video(
        job.folder / "output.mp4", frames=shape.frames, fps=fps, colour=(190, 120, 80), metadata=metadata
    )
    for control in job.run.active:
        path = job.folder / f"control_{control.name}.mp4"
        write_numbered_video(path, frames=shape.frames, fps=fps, colour=(60, 60, 60))


if __name__ == "__main__":
    clock = PacedClock(Path(os.environ["PAGE_PACE"]))
    main(SimulatedEngines(TRAITS, PRIOR, write_outputs, clock, lag=0))
