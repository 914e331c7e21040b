"""Rules of runs whose videos have to reach scores, as files, sweeps and the command line give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.formats import read_files, run_from_dict
from cosmos_batch.formats.native import record_of
from cosmos_batch.formats.sweep.overrides import parse_overrides
from cosmos_batch.run import Acceptance

RUN = {
    "id": "a",
    "prompt": "a street",
    "inputs": {"video": "in.mp4"},
    "execution_config": {"weights": {"edge": 1.0}},
}


def test_a_rule_is_read_and_written() -> None:
    run = run_from_dict({**RUN, "accept": {"edge_f1": " > 0.5", "black": False}, "attempts": 5})
    assert run.acceptance == Acceptance(scores={"edge_f1": ">0.5", "black": "<=0.5"}, attempts=5)
    assert run.fingerprint == run_from_dict(RUN).fingerprint  # no pixel of an attempt depends on it
    assert run_from_dict(record_of(run, {})).acceptance == run.acceptance


def test_all_problems_of_a_rule_are_reported_at_once() -> None:
    accept = {"edge_f2": ">0.5", "blur_ssim": "good", "noise": True, "steadiness": ">nan"}
    with pytest.raises(InputError) as caught:
        run_from_dict({**RUN, "accept": accept, "attempts": 21, "seed_step": 0})
    problems = {problem.field: (problem.message, problem.remedy) for problem in caught.value.problems}
    assert problems == {
        "attempts": ("is too large", "give a whole number from 1 to 20"),
        "seed_step": ("is too small", "give a whole number from 1 below 2147483648"),
        "accept.edge_f2": ("is not a known score", "did you mean 'edge_f1'?"),
        "accept.blur_ssim": ("is no comparison with a number", "write it like '>0.5'"),
        "accept.noise": ("is no comparison with a number", "write it like '>0.5', or false: not flagged"),
        "accept.steadiness": ("is no comparison with a number", "write it like '>0.5'"),
    }


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"attempts": 2}, "attempts", "has no effect without accept"),
        ({"accept": {}}, "accept", "names no score"),
        (
            {"accept": {"edge_f1": ">0.5"}, "inputs": {"seg": "s.mp4"}},
            "accept.edge_f1",
            "has nothing to compare with",
        ),
    ],
)
def test_a_rule_that_cannot_act_is_a_problem(fields: dict[str, object], field: str, message: str) -> None:
    weights = {"weights": {"seg": 1.0} if "inputs" in fields else {"edge": 1.0}}
    with pytest.raises(InputError) as caught:
        run_from_dict({**RUN, "execution_config": weights, **fields})
    assert [(problem.field, problem.message) for problem in caught.value.problems] == [(field, message)]


def test_attempts_of_a_sweep_have_seeds_that_no_run_has(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"video")
    sweep = {
        "videos": "in.mp4",
        "prompts": {"rain": "rain"},
        "seeds": [5, 7],
        "controls": {"edge": 1.0},
        "accept": {"edge_f1": ">0.5"},
        "attempts": 2,
    }
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(sweep))
    loaded = read_files([file])
    assert not loaded.problems
    assert [run.acceptance for run in loaded.runs] == [
        Acceptance(scores={"edge_f1": ">0.5"}, attempts=2, seed_step=3)
    ] * 2

    file.write_text(json.dumps(sweep | {"accept": {"edges": ">0.5"}, "attempts": 0}, indent=1))
    problems = read_files([file]).problems
    assert [(each.field, each.line) for each in problems] == [("attempts", 16), ("accept.edges", 14)]


def test_set_gives_every_run_scores_to_reach() -> None:
    overrides = parse_overrides(["num_steps=4", "accept.edge_f1>0.5", "accept.noise=<0.2", "attempts=2"])
    wanted = Acceptance(scores={"edge_f1": ">0.5", "noise": "<0.2"}, attempts=2)
    assert overrides.sampling.num_steps == 4
    assert overrides.over(None) == wanted
    assert overrides.over(Acceptance(scores={"noise": "<0.5"}, attempts=9)) == wanted
    assert parse_overrides(["attempts=2"]).over(None) is None
    with pytest.raises(InputError) as caught:
        parse_overrides(["accept.edge>0.5", "attempts=0", "steps=4"])
    assert [problem.field for problem in caught.value.problems] == ["steps", "attempts", "accept.edge"]
