"""Scorers that other packages install, each in a process of its own."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.formats import run_from_dict
from cosmos_batch.run import Control, Run
from cosmos_batch.score_names import own_scorers, scorers_of
from cosmos_batch.scoring.scorers import Scorers, chosen_scorers

PACKAGE = """
import sys, time

def judge(video, run):
    print("what a scorer prints is no answer")
    if run["id"] == "slow":
        time.sleep(60)
    if run["id"] == "odd":
        raise ValueError("no such prompt")
    return {"realism": len(run["prompt"]), "is_file": int(video.is_file())}

judge.seconds = 0.5
script = "import json, sys; asked = json.load(sys.stdin); print(len(asked['run']['prompt']) / 2)"
counter = [sys.executable, "-c", script]
broken = 7
"""
POINTS = """[cosmos_batch.scorers]
judge = judges:judge
counter = judges:counter
broken = judges:broken
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with scorers, installed as pip leaves one."""
    (tmp_path / "judges.py").write_text(PACKAGE)
    facts = tmp_path / "judges-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: judges\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run_named(run_id: str) -> Run:
    return Run(id=run_id, prompt="a street", video="in.mp4", controls=(Control(name="edge", weight=1.0),))


def test_scorers_give_scores_by_name_and_a_faulty_one_a_warning(installed: Path) -> None:
    (installed / "output.mp4").write_bytes(b"video")
    with closing(Scorers()) as scorers:
        found = [
            scorers.measure(["judge", "counter", "broken"], installed / "output.mp4", run_named("a")),
            scorers.measure(["judge"], installed / "output.mp4", run_named("odd")),
            scorers.measure(["judge"], installed / "gone.mp4", run_named("slow")),
            scorers.measure(["judge"], installed / "gone.mp4", run_named("a")),  # in a fresh process
        ]
    assert found == [
        (
            {"judge_realism": 8.0, "judge_is_file": 1.0, "counter": 4.0},
            (
                "the scorer broken gives no score: cannot start: "
                "TypeError: judges:broken is neither a function nor the words of a command",
            ),
        ),
        ({}, ("the scorer judge gives no score: ValueError: no such prompt",)),
        ({}, ("the scorer judge gives no score: took longer than 0.5 s",)),
        ({"judge_realism": 8.0, "judge_is_file": 0.0}, ()),
    ]


def test_a_rule_may_name_their_scores(installed: Path) -> None:
    assert {"judge", "counter", "broken"} <= own_scorers().keys()
    record = {"prompt": "a", "inputs": {"video": "in.mp4"}, "execution_config": {"weights": {"edge": 1.0}}}
    rule = run_from_dict(record | {"accept": {"judge_realism": ">5", "counter": ">1"}}).acceptance
    assert rule is not None
    assert scorers_of(rule.scores) == ("judge", "counter")
    assert scorers_of(["edge_f1", "depth_rmse"]) == ("depth",)
    assert (installed / "judges.py").exists()


def test_unknown_scorers_are_refused_at_once() -> None:
    with pytest.raises(InputError) as caught:
        chosen_scorers(["judges,critics"])
    assert [problem.found for problem in caught.value.problems] == ["judges", "critics"]
