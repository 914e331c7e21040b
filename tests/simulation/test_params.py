"""Generated traces: the parameters of a file, and the runs that they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.errors import InputError
from cosmos_batch.planning.equivalence import RunClasses
from cosmos_batch.run import Priority
from cosmos_batch.simulation.params import Params, generate, read_params

COST = PROFILE.cost


def test_a_file_is_read_and_what_it_leaves_open_has_a_default(tmp_path: Path) -> None:
    path = tmp_path / "day.toml"
    path.write_text("runs = 10\nurgent = 0.5\n[machines]\nfailure_hours = 2\n")
    params = read_params(path)
    assert (params.runs, params.urgent, params.seconds) == (10, 0.5, 86_400.0)
    assert generate(params, TRANSFER25, COST).machines.failure_hours == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("runs = 0\nzipff = 1\nseconds = 'a'\n", ["runs", "zipff", "zipf", "seconds"]),
        ("[machines]\nspot_share = 2\n", ["machines.spot_share"]),
        ("urgent = 0.6\nlow = 0.6\n", ["low"]),
        ("runs = \n", ["TOML"]),
    ],
)
def test_every_problem_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "day.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert all(part in str(caught.value) for part in [*parts, str(path)])


def test_a_resolution_that_the_engine_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="321"):
        generate(Params(resolution="321"), TRANSFER25, COST)


def test_kinds_owners_and_levels_have_their_shares() -> None:
    params = Params(runs=20_000, kinds=30, owners=4, urgent=0.1, low=0.2, poison=0.05, seed=1)
    trace = generate(params, TRANSFER25, COST).trace
    assert len(trace) == 20_000
    assert (np.diff(trace.at) >= 0).all()
    assert 0 <= trace.at[0] < trace.at[-1] < 86_400
    levels = trace.priorities
    assert np.mean(levels >= Priority.URGENT) == pytest.approx(0.1, abs=0.01)
    assert np.mean(levels < 0) == pytest.approx(0.2, abs=0.01)
    kinds = np.bincount(trace.template // 3, minlength=30)
    assert kinds[0] / kinds[9] == pytest.approx(10, rel=0.2)  # Zipf
    assert trace.owner is not None
    assert np.bincount(trace.owner) == pytest.approx(5000, rel=0.1)
    assert len(trace.breaks_at) == pytest.approx(1000, rel=0.2)


def test_a_burst_is_of_one_kind_and_one_owner() -> None:
    trace = generate(Params(runs=2000, burst=10.0, owners=50, seed=2), TRANSFER25, COST).trace
    together = np.diff(trace.at) == 0
    assert together.mean() == pytest.approx(0.9, abs=0.03)
    assert trace.owner is not None
    assert (np.diff(trace.template // 3)[together] == 0).all()
    assert (np.diff(trace.owner)[together] == 0).all()


def test_a_day_curve_moves_arrivals_to_its_middle() -> None:
    trace = generate(Params(runs=10_000, day_curve=0.8), TRANSFER25, COST).trace
    middle = (trace.at > 21_600) & (trace.at < 64_800)
    assert middle.mean() == pytest.approx(0.5 + 0.8 / np.pi, abs=0.02)


def test_given_times_are_those_of_a_run_and_of_the_load_of_any_kind() -> None:
    made = generate(Params(kinds=30, run_seconds=690.0, load_seconds=120.0), TRANSFER25, COST)
    alike = RunClasses(made.traits)
    classes = [alike.of(run, made.trace.facts) for run in made.trace.templates]
    assert len({each.launch_key for each in classes}) == 30
    seconds = {round(made.cost.overhead_seconds(c.work.steps) + made.cost.run_seconds(c.work), 6) for c in classes}
    assert seconds == {690.0}
    assert {made.cost.load_seconds(len(each.signature)) for each in classes} == {120.0}
