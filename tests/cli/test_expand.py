"""`expand` shows what a sweep makes, `--set` changes settings of every run, and other commands take sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.formats import read_files
from tests.support.clips import clip


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of twelve runs."""
    for name in ("a", "b"):
        clip(tmp_path / f"{name}.mp4")
    text = (
        "sweep: weather\nvideos: '*.mp4'\nprompts: {rain: heavy rain, snow: deep snow}\nseeds: [1, 2, 3]\n"
        "controls: {edge: 1}\nsettings: {num_steps: 8}\ntags: {weather: '{prompt_name}'}\n"
    )
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_number_price_and_the_first_ten_runs_are_printed(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "expand", sweep) == 0

    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("12 runs; about ")
    assert others[0] == "  a__rain__s1: heavy rain"
    assert len(others) == 11
    assert others[-1] == "  and 2 more"


def test_json_has_the_number_and_the_price(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "expand", sweep, "--json", "--set", "num_steps=4") == 0
    quick = json.loads(capsys.readouterr().out)
    assert call(monkeypatch, "expand", sweep, "--json") == 0
    whole = json.loads(capsys.readouterr().out)

    assert quick["runs"] == whole["runs"] == 12
    assert 0 < quick["seconds"] < whole["seconds"]
    assert [run["execution_config"]["num_steps"] for run in quick["first"]] == [4] * 10


def test_written_runs_are_those_of_the_sweep(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "expand", sweep, "-o", tmp_path / "runs.jsonl") == 0

    assert read_files([tmp_path / "runs.jsonl"]).runs == read_files([sweep]).runs


@pytest.mark.parametrize("command", ["check", "plan"])
def test_commands_take_a_sweep_as_they_take_runs(
    command: str, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, command, sweep, "--set", "seed=5") == 0
    assert "12 runs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "plan", "expand"])
def test_all_problems_of_set_are_reported(
    command: str, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for each in ("num_step=4", "guidance=cold", "steps", "fps=0") for word in ("--set", each)]

    assert call(monkeypatch, command, sweep, *words) == 2

    assert capsys.readouterr().err.splitlines() == [
        "--set: num_step = \"4\": is not a known setting; did you mean 'num_steps'?",
        '--set: "steps": is no setting; write it as num_steps=4',
        '--set: guidance = "cold": is not a number; give a number from 0 to 50',
        "--set: fps = 0: is too small; give a number from 0.001 to 1000",
    ]
