"""The contract of engines and sessions, held by every engine that can run here; see `engines.base`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.base import Engine, Event, Job, Outcome, Progress, Session
from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.registry import ENGINES
from cosmos_batch.engines.simulated import SimulatedBehaviour, SimulatedEngine, VirtualClock
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo, videos_of
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.media.video import Frames, probe, read_frames, read_metadata
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling
from tests.support import dispatch_world, tiny_model
from tests.support.nvidia_world import World


@dataclass
class Rig:
    """An engine with two runs of one launch."""

    engine: Engine
    runs: Sequence[ResolvedRun]
    root: Path

    def open(self) -> Session:
        return self.engine.open(self.launch)

    @property
    def launch(self) -> Launch:
        facts = {path: probe(path) for run in self.runs for path in videos_of(run)}
        (launch,) = plan_runs(list(self.runs), self.engine.traits, dispatch_world.PRIOR, facts=facts).launches
        return launch

    def job(self, run: ResolvedRun, attempt: str = "first") -> Job:
        folder = self.root / attempt / run.id
        state = self.root / "states" / f"{run.id}.state"
        for each in (folder, state.parent):
            each.mkdir(parents=True, exist_ok=True)
        return Job(run, folder, state)

    def output(self, run: ResolvedRun, attempt: str = "first") -> Frames:
        file = self.job(run, attempt).folder / "output.mp4"
        assert read_metadata(file)[FINGERPRINT] == run.fingerprint
        return read_frames(file)


def simulated(root: Path, tmp: Path) -> Rig:
    engine = SimulatedEngine(
        dispatch_world.TRAITS, SimulatedBehaviour(dispatch_world.write_answer), VirtualClock()
    )
    video = dispatch_world.make_input(tmp / "street.mp4")
    return Rig(engine, [dispatch_world.make_run(name, video) for name in ("one", "two")], root)


def in_process(root: Path, tmp: Path) -> Rig:
    model = tiny_model.write_tiny_model(tmp / "model")
    cache = ControlCache(tmp / "controls")
    engine = load_engine(str(model), tiny_model.CONTROLS, cache, guardrail=NoGuardrail())
    clip = tiny_model.write_clip(tmp / "clip.mp4", 9)
    runs = [tiny_model.make_run(name, clip, {"edge": 1.0}, seed=seed) for seed, name in enumerate(("one", "two"))]
    return Rig(engine, runs, root)


def script(root: Path, tmp: Path) -> Rig:
    world = World(tmp)
    engine = world.script()
    runs = [world.run(name) for name in ("one", "two")]
    return Rig(
        engine, [resolve(run, engine.traits, {run.video or "": probe(run.video or "")}) for run in runs], root
    )


KINDS = {"simulated": simulated, "in-process": in_process, "script": script}


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    (inputs := tmp_path / "inputs").mkdir()
    make: Callable[[Path, Path], Rig] = KINDS[request.param]
    return make(tmp_path / "made", inputs)


@pytest.fixture(params=["simulated", "in-process"])
def steppable(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    (inputs := tmp_path / "inputs").mkdir()
    return KINDS[request.param](tmp_path / "made", inputs)


def steps_of(events: Sequence[Event], run: ResolvedRun) -> list[int]:
    return [event.step for event in events if isinstance(event, Progress) and event.run_id == run.id]


def test_joined_runs_are_active_until_their_results_come(rig: Rig) -> None:
    session = rig.open()
    assert session.active == ()
    for run in rig.runs:
        assert list(session.join(rig.job(run))) == []
    assert sorted(session.active) == ["one", "two"]
    results = tiny_model.drive(session)
    assert {name: result.outcome for name, result in results.items()} == {
        "one": Outcome.SUCCEEDED,
        "two": Outcome.SUCCEEDED,
    }
    assert (session.active, session.finishing) == ((), ())
    session.close()
    one, two = (rig.output(run) for run in rig.runs)
    assert one.shape == two.shape


def test_progress_never_falls(rig: Rig) -> None:
    session, events = rig.open(), list[Event]()
    for run in rig.runs:
        list(session.join(rig.job(run)))
    tiny_model.drive(session, events)
    session.close()
    for run in rig.runs:
        steps = steps_of(events, run)
        assert steps == sorted(steps)
        assert all(e.step <= e.steps for e in events if isinstance(e, Progress))


def test_steppable_engine_reports_every_step_once(steppable: Rig) -> None:
    session, events = steppable.open(), list[Event]()
    for run in steppable.runs:
        list(session.join(steppable.job(run)))
    tiny_model.drive(session, events)
    session.close()
    for run in steppable.runs:
        assert steps_of(events, run) == list(range(1, run.sampling.num_steps + 1))


def test_run_that_left_has_no_result_and_no_output(rig: Rig) -> None:
    one, two = rig.runs
    session = rig.open()
    for run in rig.runs:
        list(session.join(rig.job(run)))
    session.leave(one.id)
    assert session.active == (two.id,)
    assert list(tiny_model.drive(session)) == [two.id]
    session.close()
    assert not (rig.job(one).folder / "output.mp4").exists()


def test_prefetch_changes_no_result(rig: Rig) -> None:
    for attempt in ("first", "prefetched"):
        session = rig.open()
        for run in rig.runs:
            if attempt == "prefetched":
                session.prefetch([run])
            list(session.join(rig.job(run, attempt)))
        tiny_model.drive(session)
        session.close()
    for run in rig.runs:
        assert np.array_equal(rig.output(run), rig.output(run, "prefetched"))


def test_closed_session_writes_nothing_and_another_one_can_be_opened(rig: Rig) -> None:
    one, _ = rig.runs
    session = rig.open()
    list(session.join(rig.job(one, "closed")))
    session.close()
    assert not (rig.job(one, "closed").folder / "output.mp4").exists()
    again = rig.open()
    list(again.join(rig.job(one)))
    assert tiny_model.drive(again)[one.id].outcome is Outcome.SUCCEEDED
    again.close()


def test_saved_run_resumes_at_its_step_in_another_session(steppable: Rig) -> None:
    one, _ = steppable.runs
    first, events = steppable.open(), list[Event]()
    list(first.join(steppable.job(one)))
    list(first.advance())
    first.save(one.id)
    first.leave(one.id)
    first.close()
    second = steppable.open()
    list(second.join(steppable.job(one)))
    assert tiny_model.drive(second, events)[one.id].outcome is Outcome.SUCCEEDED
    second.close()
    assert steps_of(events, one) == list(range(2, one.sampling.num_steps + 1))


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_of_the_registry_can_be_planned_for(name: str) -> None:
    spec, facts = ENGINES[name], {"/street.mp4": VideoInfo(width=1280, height=704, frames=93, fps=24.0)}
    run = Run(
        id="a", prompt="a street", controls=(Control(name="edge", weight=1.0),), video="/street.mp4",
        sampling=Sampling(),
    )  # fmt: skip
    plan = plan_runs([resolve(run, spec.traits, facts)], spec.traits, spec.profile.cost, facts=facts)
    assert [planned.id for launch in plan.launches for batch in launch.batches for planned in batch.runs] == ["a"]
    assert spec.name == spec.profile.cost.engine == name
