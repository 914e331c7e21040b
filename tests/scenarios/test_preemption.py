"""The in-process engine with its tiny model: a run that makes way for an urgent one gives the same video."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.dispatch.command import check_output
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.worker import LoadedEngine, Worker, WorkerPlace, WorkerSettings, WorkerTime
from cosmos_batch.engines.inprocess.engine import InProcessEngine, InProcessSession
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.ledger import ENDED, Ledger, State, Submission
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import read_frames
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Priority, Run
from tests.support.dispatch_world import PRIOR
from tests.support.service_world import World
from tests.support.tiny_model import make_run, write_clip, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


class Interrupted:
    """The engine, whose session lets an urgent run arrive after its second step."""

    def __init__(self, engine: InProcessEngine, ledger: Ledger, urgent: Run) -> None:
        self._engine = engine
        self.traits, self.identity = engine.traits, engine.identity
        self._ledger = ledger
        self._urgent: Run | None = urgent

    def open(self, launch: Launch) -> InProcessSession:
        session = self._engine.open(launch)
        advance, steps = session.advance, 0

        def interrupted():  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            yield from advance()
            if steps == 2 and self._urgent is not None:
                self._ledger.runs.accept([Submission(self._urgent)])
                self._urgent = None

        session.advance = interrupted  # type: ignore[method-assign]
        return session


def serve(world: World, engine: object, runs: list[Run]) -> None:
    world.ledger.runs.accept([Submission(run) for run in runs])
    worker = a_worker(world, engine)
    worker.run()


def a_worker(world: World, engine: object) -> Worker:
    settings = WorkerSettings(world.scheduling, replace(world.settings, max_batch=2, save_every=1e9))
    made = Worker(
        LoadedEngine(engine, PRIOR),  # type: ignore[arg-type]
        WorkerPlace(
            "w",
            OutputDirectory(world.home.videos, shared=True),
            world.ledger,
            InflightMarker(world.home.marker(0), "w"),
            EventLog(io.StringIO()),
        ),
        settings,
        check_output,
        WorkerTime(time.time, lambda seconds: stop_when_done(made, seconds)),
    )

    def stop_when_done(worker: Worker, seconds: float) -> None:
        time.sleep(min(seconds, 0.01))
        if set(world.ledger.queries.states()) <= set(ENDED):
            worker.stop.request()

    return made


def videos(home: ServiceHome, runs: list[Run]) -> dict[str, np.ndarray]:
    return {run.id: read_frames(home.videos / run.id / "output.mp4") for run in runs}


def test_preempted_run_gives_the_same_video(tmp_path: Path, model: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", 9)
    runs = [make_run(name, clip, {"edge": 1.0}, num_steps=6, seed=seed) for seed, name in enumerate("ab")]
    urgent = make_run("urgent", clip, {"edge": 0.5}, num_steps=4, seed=9)
    urgent = replace(urgent, priority=Priority.URGENT)
    engine = load_engine(str(model), ("edge",), ControlCache(tmp_path / "cache"))
    calm, preempted = World(tmp_path / "calm"), World(tmp_path / "preempted")

    serve(calm, engine, [*runs, urgent])
    serve(preempted, Interrupted(engine, preempted.ledger, urgent), runs)

    assert set(preempted.states().values()) == {State.SUCCEEDED}
    assert State.PREEMPTED in {change.state for run in runs for change in preempted.ledger.queries.history(run.id)}
    expected = videos(calm.home, [*runs, urgent])
    for run_id, frames in videos(preempted.home, [*runs, urgent]).items():
        # bit-equal arithmetic is not promised beside other runs; the codec rounds what little differs
        assert np.abs(frames.astype(int) - expected[run_id].astype(int)).max() <= 3
    calm.ledger.close()
    preempted.ledger.close()
