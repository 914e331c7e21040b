"""A small world for the dispatcher: real input files of two frames, and the simulated engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from cosmos_batch.dispatch.command import Command, check_output, execute
from cosmos_batch.dispatch.execution.context import CheckOutput
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken
from cosmos_batch.engines.base import Job, Loaded
from cosmos_batch.engines.inprocess.transfer25.traits import transfer_traits
from cosmos_batch.engines.simulated import Clock, Fault, SimulatedBehaviour, SimulatedEngine, VirtualClock, Write
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.outputs import write_frames
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import Frames, read_metadata
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling

TRAITS = transfer_traits(
    "replay",
    sizes={"32": {(1, 1): (32, 32)}},
    defaults=Sampling(resolution="32", num_steps=4, fps=8.0),
    chunk_frames=5,
)
PRIOR = replace(CostModel.free("replay", "virtual"), load=1.0, step=0.1, token=1e-3)
FACTS = VideoInfo(width=32, height=32, frames=2, fps=8.0)


def make_input(path: Path) -> Path:
    """A grey video of two frames."""
    write_video(path, np.full((FACTS.frames, FACTS.height, FACTS.width, 3), 128, np.uint8), FACTS.fps)
    return path


def make_run(run_id: str, video: Path, *, prompt: str = "a street", steps: int | None = None) -> ResolvedRun:
    """A resolved run over the video."""
    run = Run(
        id=run_id,
        prompt=prompt,
        controls=(Control(name="edge", weight=1.0),),
        video=str(video),
        sampling=Sampling(num_steps=steps),
    )
    return resolve(run, TRAITS, {str(video): FACTS})


def colour_of(run: Run) -> Frames:
    """The colour of a run's video, from its fingerprint: [3]."""
    return np.frombuffer(bytes.fromhex(run.fingerprint[:6]), np.uint8)


def write_answer(job: Job, shape: Shape) -> None:
    """An output whose colour is the run's own, and whose metadata says whose it is; a picture for one frame."""
    frames = np.broadcast_to(colour_of(job.run), (shape.frames, shape.height, shape.width, 3))
    fps = job.run.sampling.fps
    assert isinstance(fps, float)
    path = job.folder / ("output.png" if shape.frames == 1 else "output.mp4")
    write_frames(path, frames, fps, metadata={FINGERPRINT: job.run.fingerprint})


def owner(root: Path, run: Run) -> str:
    """The fingerprint that the published video of a run carries."""
    return read_metadata(root / run.id / "output.mp4")[FINGERPRINT]


P = ParamSpec("P")
T = TypeVar("T")


class AtOnce(Executor):
    """Does everything on the spot."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """What it gives, or raises."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future


@dataclass
class EventRecorder:
    """An event sink that keeps every event."""

    batches: list[tuple[str, ...]] = field(default_factory=list)
    changes: list[tuple[str, State, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[tuple[str, int]] = field(default_factory=list)
    stop: StopToken = field(default_factory=StopToken)
    stop_after: int | None = None  # steps until a stop is requested

    def planned(self, plan: Plan) -> None:
        """Nothing to keep."""

    def launched(self, reason: str, runs: int) -> None:
        """Nothing to keep."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Keep the runs of the batch."""
        assert batch > 0
        self.batches.append(tuple(run_ids))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Keep the step, and stop if that was agreed."""
        assert 0 < step <= steps
        self.steps.append((run_id, step))
        if self.stop_after is not None and len(self.steps) >= self.stop_after:
            self.stop.request()

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Keep the change."""
        self.changes.append((run_id, state, cause))

    def noted(self, message: str) -> None:
        """Keep the message."""
        self.notes.append(message)


def dispatch(
    runs: Sequence[ResolvedRun],
    root: Path,
    *,
    faults: Mapping[str, Fault] | None = None,
    most: int | None = None,
    lag: int = 0,
    settings: DispatchSettings | None = None,
    events: EventRecorder | None = None,
    clock: Clock | None = None,
    write: Write = write_answer,
    check: CheckOutput = check_output,
    checks: Executor | None = None,
) -> dict[str, RunStatus]:
    """One command over the runs with a replay engine; how each of them stands, by id.

    `checks`: where outputs are opened; None: on the spot, so that everything has its time.
    """
    script = SimulatedBehaviour(write=write, max_runs=most, lag=lag, faults=faults or {})
    engine = SimulatedEngine(TRAITS, script, clock or VirtualClock())
    facts = dict.fromkeys(videos(runs), FACTS)
    events = events or EventRecorder()
    command = Command(runs, Loaded(engine, PRIOR), facts, settings or DispatchSettings())
    with OutputDirectory(root) as folder:
        statuses = execute(command, folder, events, events.stop, check, checks or AtOnce())
    return {status.id: status for status in statuses}


def videos(runs: Iterable[Run]) -> set[str]:
    """The input videos of the runs."""
    return {run.video for run in runs if run.video is not None}


def states(statuses: Mapping[str, RunStatus]) -> dict[str, State]:
    """The state of every run."""
    return {id_: status.state for id_, status in statuses.items()}
