"""`python -m tests.support.page.launcher ...`: the cosmos-batch command with a simulated engine, for page tests.

PAGE_PACE names a file with the seconds that a denoising step takes.
PAGE_FAULTS names runs and their trouble: "a=FAIL b=BLOCK".
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.inprocess.transfer25.traits import transfer_traits
from cosmos_batch.engines.registry import EngineChoice, Loaded, Preview
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine, Trouble
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Sampling
from tests.support.page.numbered_videos import HEIGHT, WIDTH, write_numbered_video

TRAITS = transfer_traits(
    "replay",
    sizes={"192": {(5, 3): (WIDTH, HEIGHT)}},
    defaults=Sampling(resolution="192", num_steps=4, fps=8.0, num_frames=24),
    chunk_frames=24,
)
PRIOR = CostModel(
    engine="replay",
    device="virtual",
    load=3.0,
    load_branch=0.5,
    batch=0.0,
    step=0.05,
    token=1e-4,
    control=0.0,
    attention=0.0,
    pixel=0.0,
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
    """Write an output and the videos of its controls, of numbered frames, with the run's fingerprint in them."""
    fps = job.run.sampling.fps
    assert isinstance(fps, float)
    assert (shape.width, shape.height) == (WIDTH, HEIGHT)
    metadata = {FINGERPRINT: job.run.fingerprint}
    write_numbered_video(
        job.folder / "output.mp4", frames=shape.frames, fps=fps, colour=(190, 120, 80), metadata=metadata
    )
    for control in job.run.active:
        path = job.folder / f"control_{control.name}.mp4"
        write_numbered_video(path, frames=shape.frames, fps=fps, colour=(60, 60, 60))


class SimulatedEngines:
    """Provides the simulated engine, whatever model is chosen."""

    def preview(self, choice: EngineChoice, *, executes: bool = False) -> Preview:  # noqa: ARG002 - the protocol
        """Return the traits of the page tests."""
        assert choice.engine is None
        return Preview(TRAITS, PRIOR)

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Return an engine that behaves as the environment says."""
        assert choice.engine is None
        assert set(controls) <= TRAITS.controls
        pairs = (pair.split("=") for pair in os.environ.get("PAGE_FAULTS", "").split())
        faults = {run_id: Fault(Trouble[trouble]) for run_id, trouble in pairs}
        behaviour = SimulatedBehaviour(
            write_outputs, load_seconds=0.0, step_seconds=lambda _runs: 1.0, faults=faults
        )
        return Loaded(SimulatedEngine(TRAITS, behaviour, PacedClock(Path(os.environ["PAGE_PACE"]))), PRIOR)


if __name__ == "__main__":
    main(SimulatedEngines())
