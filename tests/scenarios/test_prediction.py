"""A worker that is told what to expect: what it loads while it is idle, and for how long its runs wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.ledger import State
from cosmos_batch.ledger.prediction import PREDICTION, ExpectedKind, QueuePrediction
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.service.prediction import PredictionSettings, Predictor
from tests.support.dispatch_world import PRIOR, TRAITS
from tests.support.service_world import ListeningEngine, World


def predict(world: World, prediction: QueuePrediction) -> None:
    """Write a prediction now."""
    made = replace(prediction, at=world.clock.now())
    world.ledger.settings.set(PREDICTION, made.as_json().decode())


def test_an_idle_device_has_loaded_what_the_next_run_needs(world: World) -> None:
    world.prior = replace(PRIOR, load_branch=10.0)
    engine = ListeningEngine(world)
    world.submit(world.run("d0", controls="depth"))
    world.arrive(6, world.run("e0"))
    depth = ExpectedKind("depth", ("depth",), "d0", 0.01, 36.0, 70.0)
    world.clock.at(12, lambda: predict(world, QueuePrediction(kinds=(depth,))))
    world.arrive(30, world.run("d1", controls="depth"))

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert engine.launches == [["depth"], ["edge"], ["depth"], ["depth"]]  # the third is open for no run
    assert [line["runs"] for line in world.happened("launched")] == [1, 1, 0, 1]


@pytest.mark.parametrize(("age", "began"), [(0.0, 51), (7200.0, 1)])
def test_a_script_waits_as_predicted_and_not_by_an_old_prediction(world: World, age: float, began: float) -> None:
    world.traits = replace(TRAITS, steppable=False)
    window = FlushRules(seconds=50.0, runs=2**31, quiet=1e9, at_once=False)
    made = QueuePrediction(at=world.clock.now() - age, flush=window)
    world.ledger.settings.set(PREDICTION, made.as_json().decode())
    world.arrive(1, world.run("a"))
    world.serve()
    assert world.began("a") == pytest.approx(began, abs=2)


# What the service predicts


class Stream:
    """Runs that a service has had, and what it predicts."""

    def __init__(self, world: World, *, steppable: bool, on: bool = True) -> None:
        self.world = world
        traits, prior = replace(TRAITS, steppable=steppable), replace(PRIOR, load=120.0)
        settings = PredictionSettings(on, FlushRules())
        self.predictor = Predictor(world.ledger, traits, prior, settings, world.clock.now)
        self.count = 0

    def arrive(self, gap: float, controls: str = "edge") -> None:
        """A run comes after so many seconds."""
        self.world.clock.time += gap
        self.world.submit(self.world.run(f"r{self.count}", controls=controls))
        self.count += 1

    def predicted(self) -> QueuePrediction:
        """What the service predicts now."""
        self.predictor.update()
        return QueuePrediction.from_json(self.world.ledger.settings.get(PREDICTION))


def test_runs_in_pairs_make_a_script_wait_for_the_second(world: World) -> None:
    stream = Stream(world, steppable=False)
    for _ in range(125):
        stream.arrive(3570.0)
        stream.arrive(30.0)
    found = stream.predicted()
    assert found.flush is not None
    assert found.flush.seconds >= 40  # the second run comes after 30 s, and a load takes 120
    assert "a window of" in found.reason
    (kind,) = found.kinds
    assert (kind.controls, kind.run) == (("edge",), "r249")
    assert 1 < kind.per_hour < 4
    assert found.arrivals == 250
    # What is saved counts from now on: a wait of 40 s for a run that is spared a load of 120 s
    assert found.saving.runs == 0
    for _ in range(2):
        stream.arrive(3570.0)
        stream.arrive(30.0)
    world.clock.time += 3600.0
    later = stream.predicted()
    assert later.saving.runs == 4
    assert later.saving.gpu_seconds == pytest.approx(240, abs=20)


def test_an_engine_that_runs_can_join_never_waits(world: World) -> None:
    stream = Stream(world, steppable=True)
    for place in range(20):
        stream.arrive(30.0, "edge" if place % 4 < 2 else "depth")
    found = stream.predicted()
    assert found.flush is None
    assert "none waits" in found.reason
    assert {kind.controls for kind in found.kinds} == {("edge",), ("depth",)}


def test_every_run_is_learnt_once_and_a_prediction_is_renewed_each_minute(world: World) -> None:
    stream = Stream(world, steppable=True)
    assert stream.predicted() == QueuePrediction()
    stream.arrive(5.0)
    stream.arrive(0.0)
    first = stream.predicted()
    assert first.arrivals == 2
    assert stream.predicted() is not first
    assert stream.predicted() == first  # nothing has come, so that nothing is written
    stream.arrive(0.0)  # in the same moment as the last
    assert stream.predicted().arrivals == 3
    world.clock.time += 61
    assert stream.predicted().at == world.clock.now()


def test_a_prediction_is_withdrawn_where_it_is_off(world: World) -> None:
    stream = Stream(world, steppable=True)
    stream.arrive(5.0)
    assert stream.predicted().arrivals == 1
    assert Stream(world, steppable=True, on=False).predicted() == QueuePrediction()
