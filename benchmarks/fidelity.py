"""How far a run's video in company is from the same run's video alone: `python -m benchmarks.fidelity`.

Runs of the embedded model are made alone, and again in batches that differ from them in one way or in all ways.
The table gives the largest difference of any pixel of any frame, of 255: as decoded by the autoencoder, and as
read back from output.mp4, where compression makes of a difference of 1 in one pixel one of a few in its block.
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
from cosmos_batch.cli.load_runs import gather
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.engines.inprocess import pocket
from cosmos_batch.engines.inprocess.engine import TransferEngine, TransferSession
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames, read_frames
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run
from examples.scenario import write_scenario

LIMIT = 2


@dataclass
class Studio:
    """Makes runs in given ways, and gives back what came out of each, decoded and compressed."""

    engine: TransferEngine
    screening: RecordingGuardrail
    folder: Path
    made: int = 0

    def make(self, runs: Sequence[Run], conduct: Conduct) -> dict[str, tuple[Frames, Frames]]:
        """The frames of every run, as decoded by the autoencoder and as read back from its file."""
        self.made += 1
        jobs = [
            Job(run, self.folder / f"{self.made}" / run.id, self.folder / f"{self.made}-{run.id}.safetensors")
            for run in runs
        ]
        batch = Batch(tuple(runs), Shape(0, 0, 0), 0.0, 0)
        session = self.engine.open(Launch(0, batch.signature, (batch,), 0.0, ""))
        self.screening.videos.clear()
        ended = [result.run_id for result in conduct(session, jobs) if result.outcome is Outcome.SUCCEEDED]
        frames = dict(zip(ended, self.screening.videos, strict=True))
        return {job.run.id: (frames[job.run.id], read_frames(job.folder / "output.mp4")) for job in jobs}


Conduct = Callable[[TransferSession, Sequence[Job]], Iterator[Result]]


def together(session: TransferSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """All join at once."""
    for job in jobs:
        session.join(job)
    while session.active:
        yield from (event for event in session.advance() if isinstance(event, Result))


def one_late(session: TransferSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """The first joins when the others have done three steps."""
    for job in jobs[1:]:
        session.join(job)
    for _ in range(3):
        yield from (event for event in session.advance() if isinstance(event, Result))
    yield from together(session, jobs[:1])


def one_set_aside(session: TransferSession, jobs: Sequence[Job]) -> Iterator[Result]:
    """The first is saved to disk after four steps, leaves, and is restored three steps later."""
    for job in jobs:
        session.join(job)
    for step in range(7):
        yield from (event for event in session.advance() if isinstance(event, Result))
        if step == 3:
            session.save(jobs[0].run.id)
            session.leave(jobs[0].run.id)
    yield from together(session, jobs[:1])


def companies(runs: Sequence[Run]) -> list[tuple[str, list[Run], Conduct]]:
    """What is different about the company, the batch with the run under test first, and how it is conducted."""
    one, rest = runs[0], runs[1:]

    def like(name: str, **changes: object) -> Run:
        return replace(one, id=name, sampling=replace(one.sampling, seed=99, **changes))

    wordy = replace(like("wordy"), prompt=one.prompt + " with a great many more words than the other prompt has")
    return [
        ("three of its kind", [one, like("b"), like("c")], together),
        ("other control sets", [one, rest[5], rest[8]], together),
        ("other numbers of steps", [one, like("b", num_steps=9), like("c", num_steps=21)], together),
        ("other guidance, one without", [one, like("b", guidance=4.0), like("c", guidance=0.0)], together),
        ("a prompt of another length", [one, wordy], together),
        ("joins a running batch", [one, rest[6], rest[8]], one_late),
        ("set aside and restored", [one, rest[6]], one_set_aside),
        ("all ten of the standard scenario", list(runs), together),
    ]


def difference(one: Frames, other: Frames) -> int:
    """The largest difference of any pixel."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def main() -> int:
    """Print the table; 0 if every decoded frame is within the limit."""
    table = Table(title="Largest pixel difference from the same run alone, of 255", title_justify="left")
    for heading in ("company", "decoded", "from output.mp4"):
        table.add_column(heading, justify="left" if heading == "company" else "right")
    worst = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder, screening = Path(scratch), RecordingGuardrail()
        cache = ControlCache(folder / "controls")
        engine = load_engine(str(pocket.MODEL), TRANSFER_CONTROLS, cache, guardrail=screening)
        runs = gather([write_scenario(folder / "inputs")], engine.traits).resolved(engine.traits)
        studio = Studio(engine, screening, folder)
        alone = studio.make(runs[:1], together)[runs[0].id]
        everyone = {run.id: studio.make([run], together)[run.id] for run in runs[1:]} | {runs[0].id: alone}
        for name, batch, conduct in companies(runs):
            made = studio.make(batch, conduct)
            known = [run.id for run in batch if run.id in everyone]
            apart = [max(difference(made[id_][k], everyone[id_][k]) for id_ in known) for k in (0, 1)]
            table.add_row(name, str(apart[0]), str(apart[1]))
            worst = max(worst, *apart)
    Console().print(table)
    print(f"limit {LIMIT}; worst {worst}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
