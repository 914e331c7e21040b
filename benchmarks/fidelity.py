"""Difference of a run's video in a batch from the same run's video alone: `python -m benchmarks.fidelity`.

Runs of the embedded model are made alone, and again in batches that differ from them in one way or in all ways.
The table gives the largest difference of any pixel of any frame, of 255: as decoded by the autoencoder, and as
read back from output.mp4, where compression spreads a difference of 1 in one pixel over its block.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.engines.inprocess import pocket
from cosmos_batch.engines.inprocess.engine import InProcessEngine, InProcessSession
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames, read_frames
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.requests import gather
from cosmos_batch.run import ResolvedRun
from examples.scenario import write_scenario

LIMIT = 2


@dataclass
class BatchMaker:
    """Makes batches of runs, and returns the frames of each run, decoded and compressed."""

    engine: InProcessEngine
    guardrail: RecordingGuardrail
    folder: Path
    made: int = 0

    def make(self, runs: Sequence[ResolvedRun], procedure: Procedure) -> dict[str, tuple[Frames, Frames]]:
        """Frames of every run, as decoded by the autoencoder and as read back from its file."""
        self.made += 1
        jobs = [
            Job(run, self.folder / f"{self.made}" / run.id, self.folder / f"{self.made}-{run.id}.safetensors")
            for run in runs
        ]
        batch = Batch(tuple(runs), Shape(0, 0, 0), 0.0, 0)
        session = self.engine.open(Launch(0, batch.signature, (batch,), 0.0, ""))
        self.guardrail.videos.clear()
        ended = [result.run_id for result in procedure(session, jobs) if result.outcome is Outcome.SUCCEEDED]
        frames = dict(zip(ended, self.guardrail.videos, strict=True))
        return {job.run.id: (frames[job.run.id], read_frames(job.folder / "output.mp4")) for job in jobs}


Procedure = Callable[[InProcessSession, Sequence[Job]], Iterator[Result]]


def together(session: InProcessSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """Let all runs join at once."""
    for job in jobs:
        session.join(job)
    while session.active:
        yield from (event for event in session.advance() if isinstance(event, Result))


def one_late(session: InProcessSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """Let the first run join when the others have done three steps."""
    for job in jobs[1:]:
        session.join(job)
    for _ in range(3):
        yield from (event for event in session.advance() if isinstance(event, Result))
    yield from together(session, jobs[:1])


def one_preempted(session: InProcessSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """Checkpoint and remove the first run after four steps, and restore it three steps later."""
    for job in jobs:
        session.join(job)
    for step in range(7):
        yield from (event for event in session.advance() if isinstance(event, Result))
        if step == 3:
            session.save(jobs[0].run.id)
            session.leave(jobs[0].run.id)
    yield from together(session, jobs[:1])


def cases(runs: Sequence[ResolvedRun]) -> list[tuple[str, list[ResolvedRun], Procedure]]:
    """The batches: name of the difference, runs with the run under test first, and procedure."""
    one, rest = runs[0], runs[1:]

    def like(name: str, *, num_steps: int | None = None, guidance: float | None = None) -> ResolvedRun:
        sampling = replace(
            one.sampling,
            seed=99,
            num_steps=one.sampling.num_steps if num_steps is None else num_steps,
            guidance=one.sampling.guidance if guidance is None else guidance,
        )
        return replace(one, id=name, sampling=sampling)

    longer = replace(like("longer"), prompt=one.prompt + " with a great many more words than the other prompt has")
    return [
        ("three with equal controls", [one, like("b"), like("c")], together),
        ("other control sets", [one, rest[5], rest[8]], together),
        ("other numbers of steps", [one, like("b", num_steps=9), like("c", num_steps=21)], together),
        ("other guidance, one without", [one, like("b", guidance=4.0), like("c", guidance=0.0)], together),
        ("a prompt of another length", [one, longer], together),
        ("joins a running batch", [one, rest[6], rest[8]], one_late),
        ("preempted and restored", [one, rest[6]], one_preempted),
        ("all ten of the standard scenario", list(runs), together),
    ]


def difference(one: Frames, other: Frames) -> int:
    """Largest difference of any pixel."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def measure(maker: BatchMaker, runs: Sequence[ResolvedRun]) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each case, and its largest differences: decoded, and from output.mp4."""
    alone = {run.id: maker.make([run], together)[run.id] for run in runs}
    for name, batch, procedure in cases(runs):
        made = maker.make(batch, procedure)
        known = [run.id for run in batch if run.id in alone]
        decoded, compressed = (max(difference(made[id_][k], alone[id_][k]) for id_ in known) for k in (0, 1))
        yield name, decoded, compressed


def main() -> int:
    """Print the table; returns 0 if every difference is within the limit."""
    table = Table(title="Largest pixel difference from the same run alone, of 255", title_justify="left")
    for heading in ("batch", "decoded", "from output.mp4"):
        table.add_column(heading, justify="left" if heading == "batch" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        folder, guardrail = Path(scratch), RecordingGuardrail()
        cache = ControlCache(folder / "controls")
        engine = load_engine(str(pocket.MODEL), TRANSFER_CONTROLS, cache, guardrail=guardrail)
        runs = gather([write_scenario(folder / "inputs")], engine.traits).resolved(engine.traits)
        rows = list(measure(BatchMaker(engine, guardrail, folder), runs))
    for name, *differences in rows:
        table.add_row(name, *map(str, differences))
    worst = max(max(differences) for _, *differences in rows)
    Console().print(table)
    print(f"limit {LIMIT}; worst {worst}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
