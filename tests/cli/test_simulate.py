"""`cosmos-batch simulate`: its table, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger, Submission
from cosmos_batch.simulation.policies import POLICIES
from tests.support.cli_launcher import SimulatedEngines
from tests.support.dispatch_world import FACTS, make_run


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "simulate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main(SimulatedEngines())
    return int(ended.value.code or 0)


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """Parameters of a small trace."""
    path = tmp_path / "day.toml"
    path.write_text("runs = 40\nseconds = 300\nkinds = 3\nowners = 2\nresolution = '32'\nnum_frames = 5\n")
    return path


def test_every_policy_has_a_row_and_a_line_in_the_picture(
    tmp_path: Path, params: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(monkeypatch, params, "--gpus", "3", "-o", out) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in POLICIES)
    assert "40 runs on 3 GPUs" in printed
    report = json.loads((out / "simulation.json").read_text())
    assert [each["policy"] for each in report["policies"]] == list(POLICIES)
    lines = ElementTree.parse(out / "timeline.svg").findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 3 * len(POLICIES)


def test_json_is_one_document_of_the_chosen_policies(
    params: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, params, "--gpus", "40", "--policy", "ours", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    (ours,) = report["policies"]
    assert (report["gpus"], ours["runs"], ours["failed"]) == (40, 40, 0)
    assert ours["makespan"] >= ours["bound"] > 0


def test_a_trace_of_lines_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at": 0, "controls": ["edge"], "resolution": "32", "num_frames": 5}\n' * 3)
    assert call(monkeypatch, trace, "--gpus", "1", "--policy", "ours") == 0
    assert "3 runs on 1 GPU" in capsys.readouterr().out


def test_the_history_of_a_service_is_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ServiceHome(tmp_path / "home")
    home.make()
    moments = iter([100.0, 130.0, 190.0])
    ledger = Ledger(home.ledger, lambda: next(moments, 190.0))
    for name in "abc":
        ledger.runs.accept([Submission(make_run(name, tmp_path / "in.mp4"), {str(tmp_path / "in.mp4"): FACTS})])
    ledger.close()
    assert call(monkeypatch, "--from-ledger", home.root, "--gpus", "2", "--policy", "ours", "--json") == 0
    (ours,) = json.loads(capsys.readouterr().out)["policies"]
    assert ours["runs"] == 3
    assert ours["makespan"] > 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "2"], "name a trace"),
        (["--gpus", "2", "--from-ledger", "nowhere"], "no service ran in it"),
        (["--gpus", "2", "missing.toml"], "missing.toml"),
        (["--gpus", "2", "day.toml", "--policy", "our"], "did you mean 'ours'?"),
        (["--gpus", "0", "day.toml"], "--gpus"),
    ],
)
def test_what_cannot_be_simulated_is_named(
    tmp_path: Path,
    params: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(params.parent)
    assert call(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
