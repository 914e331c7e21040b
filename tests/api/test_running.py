"""Runs made from Python: results as they end, and a clean stop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cosmos_batch
from cosmos_batch import Control, InputError, Run, Sampling
from tests.support.cli_launcher import SimulatedEngines
from tests.support.clips import clip
from tests.support.dispatch_world import make_input
from tests.support.http_server import request


@pytest.fixture
def video(tmp_path: Path) -> str:
    make_input(tmp_path / "dock.mp4")
    return str(tmp_path / "dock.mp4")


def test_results_come_as_runs_end_and_again_from_the_folder(
    tmp_path: Path, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_FAULTS", "bad=FAIL")
    edge = (Control(name="edge", weight=0.5),)
    runs = [
        Run(id="good", prompt="snow", controls=edge, video=video),
        request(video, id="bad"),
        {"sweep": "s", "videos": video, "prompts": ["rain"], "seeds": [1, 2], "controls": {"edge": 1.0}},
    ]

    made = list(cosmos_batch.run(runs, out=tmp_path / "out", max_failures=1, engines=SimulatedEngines()))

    by_id = {result.id: result for result in made}
    assert len(by_id) == len(made) == 4
    good, bad = by_id.pop("good"), by_id.pop("bad")
    assert (good.state, good.path, good.folder) == (
        "succeeded",
        tmp_path / "out" / "good" / "output.mp4",
        tmp_path / "out" / "good",
    )
    assert good.path is not None and good.path.exists()  # noqa: PT018
    assert "edge_f1" in good.scores
    assert (bad.state, bad.path, bad.succeeded) == ("failed", None, False)
    assert bad.cause
    assert all(result.succeeded for result in by_id.values())

    monkeypatch.setenv("REPLAY_FAULTS", "")
    written = (tmp_path / "out" / "good" / "run.json").stat().st_mtime_ns
    again = cosmos_batch.run(runs, out=tmp_path / "out", engines=SimulatedEngines())
    assert sorted(result.state for result in again) == ["succeeded"] * 4
    assert (tmp_path / "out" / "good" / "run.json").stat().st_mtime_ns == written
    assert "4 of 4 runs have ended" in again._repr_html_()


def test_an_address_is_no_folder(tmp_path: Path, video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"out = s3://bucket/out: is an address; give a folder"):
        cosmos_batch.run([request(video, id="a")], out="s3://bucket/out", engines=SimulatedEngines())
    assert not (tmp_path / "s3:").exists()


def test_closing_stops_and_keeps_what_is_made(tmp_path: Path, video: str) -> None:
    runs = [request(video, id=f"r{number}") for number in range(16)]
    engines = SimulatedEngines()

    with cosmos_batch.run(runs, out=tmp_path / "out", max_batch=1, engines=engines) as results:
        first = next(results)
    assert list(results) == []
    kept = {path.parent.name for path in (tmp_path / "out").glob("r*/output.mp4")}

    assert first.id in kept
    assert len(kept) < len(runs)
    # the folder is free, and the same call goes on
    assert sum(result.succeeded for result in cosmos_batch.run(runs, out=tmp_path / "out", engines=engines)) == 16


def test_a_process_that_ends_stops_its_runs(tmp_path: Path, video: str) -> None:
    code = (
        "import sys, cosmos_batch; from tests.support.cli_launcher import SimulatedEngines; "
        "runs = [{'id': f'r{n}', 'prompt': 'p', 'inputs': {'video': sys.argv[1]}, "
        "'execution_config': {'weights': {'edge': 1}}} for n in range(60)]; "
        "results = cosmos_batch.run(runs, out=sys.argv[2], max_batch=1, engines=SimulatedEngines()); "
        "print(next(results).state)"
    )
    line = [sys.executable, "-c", code, video, str(tmp_path / "out")]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "succeeded\n", "")
    assert len(list((tmp_path / "out").glob("r*/output.mp4"))) < 60


def test_all_problems_are_raised_at_the_call(tmp_path: Path, video: str) -> None:
    (tmp_path / "out" / "taken").mkdir(parents=True)
    (tmp_path / "out" / "taken" / "notes.txt").write_text("mine")
    runs: list[Any] = [
        request(video, id="taken"),
        request(video, id="good"),
        request("missing.mp4", id="b"),
        {"prompt": "", "id": "c"},
        7,
        {"id": "d", "prompt": object()},
    ]
    with pytest.raises(InputError) as wrong:
        cosmos_batch.run(runs, out=tmp_path / "out", engines=SimulatedEngines())
    places = {problem.file or problem.found for problem in wrong.value.problems}
    assert places == {"runs[2]", "runs[3]", "runs[4]", "runs[5]", "taken"}

    results = cosmos_batch.run(runs, out=tmp_path / "out", skip_invalid=True, engines=SimulatedEngines())
    assert [result.id for result in results] == ["good"]
    with pytest.raises(InputError, match="did you mean 'num_steps'"):
        cosmos_batch.run(runs, out=tmp_path / "out", settings={"num_step": 4})


def test_settings_and_warnings_reach_the_results(tmp_path: Path, video: str) -> None:
    clip(tmp_path / "long.mp4", frames=6, width=32, height=32)
    run = request(str(tmp_path / "long.mp4"), id="odd")
    run["inputs"]["edge"] = video
    (tmp_path / "runs.json").write_text(json.dumps(run))

    (result,) = cosmos_batch.run(
        tmp_path / "runs.json", out=tmp_path / "out", settings={"num_steps": 3}, engines=SimulatedEngines()
    )

    assert "4 of 6 frames of the input video are not used" in str(result.warnings[0])
    made = json.loads((tmp_path / "out" / "odd" / "run.json").read_text())
    assert made["run"]["sampling"]["num_steps"] == 3


def test_scores_to_be_reached_and_names_of_outputs(tmp_path: Path, video: str) -> None:
    sweep = {"sweep": "s", "videos": video, "prompts": {"rain": "rain"}, "seeds": [3], "controls": {"edge": 1.0}}
    (result,) = cosmos_batch.run(
        sweep,
        out=tmp_path / "out" / "{video}" / "{seed}.mp4",
        settings={"accept": {"edge_f1": ">2"}, "attempts": 2},
        engines=SimulatedEngines(),
    )
    assert (result.succeeded, result.accepted) == (True, False)
    assert str(result.acceptance["tries"]).count("'seed'") == 2
    assert (tmp_path / "out" / "dock" / "3.mp4").exists()
    with pytest.raises(InputError) as wrong:
        cosmos_batch.run(
            sweep,
            out=tmp_path / "out" / "{weather}.mp4",
            settings={"accept": {"edge": ">2"}, "attempts": 0, "num_step": 4},
            engines=SimulatedEngines(),
        )
    assert [problem.field for problem in wrong.value.problems] == ["num_step", "attempts", "accept.edge"]
    with pytest.raises(InputError, match=r"placeholder \{weather\}"):
        cosmos_batch.run(sweep, out=tmp_path / "out" / "{weather}.mp4", engines=SimulatedEngines())


def test_the_name_run_is_the_function_whatever_was_imported() -> None:
    assert callable(cosmos_batch.run)
    assert Run(id="r", prompt="p", controls=(), sampling=Sampling()).id == "r"
