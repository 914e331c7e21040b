"""`cosmos-batch plan --emit`: files for NVIDIA's scripts, and refusals before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from tests.support.clips import clip
from tests.support.run_files import write_runs


@pytest.fixture
def runs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two good runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip(tmp_path / "in.mp4")
    return write_runs(tmp_path / "runs.jsonl", ["a", "b"])


def plan(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "plan", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_files_of_a_plan_are_written(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(monkeypatch, runs_file, "--emit", "transfer1", tmp_path / "out") == 0

    assert f"written to {tmp_path / 'out'}: 1 command in commands.txt" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["batch_0001.jsonl", "batch_0001_spec.json", "commands.txt", "inputs", "launches.json"]


def test_plan_states_the_value_of_every_setting_that_a_run_leaves_open(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "in.mp4", fps=30)
    write_runs(runs_file, ["a", "b"], execution_config={"weights": {"edge": 0.5}, "seed": 7})
    more = json.loads(runs_file.read_text().splitlines()[0])
    more["id"], more["execution_config"] = "c", {"weights": {"edge": 0.5}}
    runs_file.write_text(f"{runs_file.read_text().rstrip()}\n{json.dumps(more)}\n")
    assert plan(monkeypatch, runs_file, "--emit", "transfer1", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert (
        "left open by runs, and so: num_steps 35; guidance 7; sigma_max 70; seed 42 (1 of 3 runs); fps 30; "
        "num_frames 6; resolution 960x704; negative_prompt 'low quality, blurry'"
    ) in said
    (spec, *_) = sorted((tmp_path / "out").glob("*_spec.json"))
    assert json.loads(spec.read_text())["fps"] == 30

    assert plan(monkeypatch, runs_file, "--engine", "transfer1", "--json") == 0
    defaults = json.loads(capsys.readouterr().out)["defaults"]
    assert {"setting": "seed", "values": [42], "runs": 1} in defaults
    assert {"setting": "fps", "values": [30.0], "runs": 3} in defaults


def test_plan_is_printed_as_json_beside_the_files(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(monkeypatch, runs_file, "--emit", "transfer25", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "transfer25"
    assert (tmp_path / "out" / "batch_0001.jsonl").exists()


def test_unsupported_settings_are_reported_and_no_file_is_written(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(monkeypatch, runs_file, "--emit", "cosmos3", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "run a: controls = weights 0.5 in sum: Cosmos 3 divides them by their sum; write edge 1" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--emit", "transfer1", "out", "--engine", "cosmos3"), "the files are for one engine"),
        (("--emit", "nonsense", "out"), "engine 'nonsense' is not known"),
        (("--emit", "transfer1"), "requires 2 arguments"),
    ],
)
def test_bad_usage(
    arguments: tuple[str, ...],
    message: str,
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan(monkeypatch, runs_file, *arguments) == 2
    assert message in capsys.readouterr().err
