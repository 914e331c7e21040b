"""The settings that runs leave open, and the values that planning filled in."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.planning.open_settings import open_settings
from cosmos_batch.run import Sampling
from tests.support.runs import MakeRun, resolved


def test_open_settings_have_the_values_that_were_filled_in(make_run: MakeRun) -> None:
    given = [make_run("edge", seed=7, fps=24), make_run("edge", fps=30), make_run("edge")]
    found = {setting.name: setting for setting in open_settings(given, map(resolved, given))}
    assert (found["guidance"].values, found["guidance"].runs) == ((7.0,), 3)
    assert str(found["guidance"]) == "guidance 7"
    assert str(found["seed"]) == "seed 42 (2 of 3 runs)"
    assert str(found["fps"]) == "fps 8 (1 of 3 runs)"
    assert str(found["resolution"]) == "resolution 64x32"
    assert found["fps"].as_dict() == {"setting": "fps", "values": [8.0], "runs": 1}


def test_text_of_many_or_long_values_is_short(make_run: MakeRun) -> None:
    given = [make_run("edge") for _ in range(5)]
    full = [
        resolved(replace(run, sampling=Sampling(num_frames=9 + index, negative_prompt="dim " * 50)))
        for index, run in enumerate(given)
    ]
    texts = {setting.name: str(setting) for setting in open_settings(given, full)}
    assert texts["num_frames"] == "num_frames 9, 10, 11, and 2 more"
    assert len(texts["negative_prompt"]) < 80


def test_runs_that_state_everything_leave_nothing_open(make_run: MakeRun) -> None:
    full = resolved(make_run("edge"))
    assert open_settings([full], [full]) == ()
