"""Whatever goes wrong: every run comes to exactly one outcome, and every published video is its own run's."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch.dispatch.output.directory import HOME
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, Trouble
from cosmos_batch.errors import OutputError
from cosmos_batch.ledger import Ledger, RunStatus, State
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run
from tests.support import dispatch_world

FINAL = {
    None: State.SUCCEEDED,
    Trouble.FAIL: State.FAILED,
    Trouble.BLOCK: State.BLOCKED,
    Trouble.BREAK: State.FAILED,
    Trouble.VANISH: State.FAILED,
}


@dataclass(frozen=True)
class Scene:
    """A command, what goes wrong in it, and where it is interrupted."""

    steps: list[int]  # of each run
    faults: dict[str, Fault]
    most: int | None
    max_batch: int | None
    stops: list[int]  # after so many steps events, one command after the other
    lag: int  # steps of others while a run is finished


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    steps = draw(st.lists(st.integers(1, 4), min_size=1, max_size=9))
    struck = draw(st.sets(st.integers(0, len(steps) - 1), max_size=4))
    faults = {
        f"r{index}": Fault(draw(st.sampled_from(list(Trouble))), draw(st.integers(0, steps[index])))
        for index in sorted(struck)
    }
    most, max_batch = draw(st.none() | st.integers(1, 4)), draw(st.none() | st.integers(1, 4))
    stops = draw(st.lists(st.integers(1, 12), max_size=3))
    return Scene(steps, faults, most, max_batch, stops, draw(st.integers(0, 3)))


def stamp(job: Job, _shape: Shape) -> None:
    """A cheap stand-in for a video: it says whose it is."""
    (job.folder / "output.mp4").write_text(job.run.fingerprint)


def check_stamp(run: Run, _shape: Shape, job: Job) -> None:
    if (job.folder / "output.mp4").read_text() != run.fingerprint:
        raise OutputError("another run's")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(scene=scenes())
def test_every_run_has_one_outcome_and_every_output_is_its_own_runs(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        video = folder / "in.mp4"
        video.write_bytes(b"input")
        runs = [
            dispatch_world.make_run(f"r{index}", video, prompt=f"street {index}", steps=steps)
            for index, steps in enumerate(scene.steps)
        ]
        root = folder / "out"

        for stop_after in [*scene.stops, None]:
            statuses = act(scene, runs, root, dispatch_world.EventRecorder(stop_after=stop_after))

        assert set(statuses) == {run.id for run in runs}
        for run in runs:
            check_outcome(run, statuses[run.id], scene.faults.get(run.id), root)
        check_ledger(runs, statuses, root)


def act(scene: Scene, runs: list[Run], root: Path, events: dispatch_world.EventRecorder) -> dict[str, RunStatus]:
    return dispatch_world.dispatch(
        runs,
        root,
        faults=scene.faults,
        most=scene.most,
        lag=scene.lag,
        settings=DispatchSettings(save_every=0, max_batch=scene.max_batch, max_failures=2),
        events=events,
        write=stamp,
        check=check_stamp,
    )


def check_outcome(run: Run, status: RunStatus, fault: Fault | None, root: Path) -> None:
    trouble = fault.trouble if fault else None
    # A fault at the very last step, or one that a resumed run has passed, may not strike: then it is a success
    expected = {State.FAILED if trouble is Trouble.FALTER else FINAL[trouble]}
    if fault is not None and fault.step == 0:
        expected |= {State.SUCCEEDED}
    assert status.state in expected, (run.id, status, fault)
    published = root / run.id
    assert published.exists() is (status.state is State.SUCCEEDED)
    if published.exists():
        assert (published / "output.mp4").read_text() == run.fingerprint
        assert json.loads((published / "run.json").read_text())["fingerprint"] == run.fingerprint


def check_ledger(runs: list[Run], statuses: dict[str, RunStatus], root: Path) -> None:
    ledger = Ledger(root / HOME / "ledger.sqlite")
    for run in runs:
        attempts = ledger.queries.attempts(run.id)
        assert all(attempt.ended is not None for attempt in attempts)
        succeeded = [attempt for attempt in attempts if attempt.outcome is State.SUCCEEDED]
        assert len(succeeded) == (statuses[run.id].state is State.SUCCEEDED)
        assert ledger.queries.history(run.id)[-1].state is statuses[run.id].state
    ledger.close()
    assert not any((root / HOME / "work").iterdir())
