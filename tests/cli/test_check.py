"""`check`, `plan`, `run` and `serve` refuse at once what cannot be made on this machine, in the same words."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from tests.support.clips import clip
from tests.support.run_files import write_runs
from tests.support.tiny_model import write_tiny_model


@pytest.fixture(autouse=True)
def _no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No extra is installed, and the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("transformers", "huggingface_hub", "cosmos_guardrail", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def runs_file(tmp_path: Path) -> Path:
    """A good run with edge, and one with depth that gives no depth video."""
    clip(tmp_path / "in.mp4")
    good = write_runs(tmp_path / "good.jsonl", ["a"]).read_text()
    bad = write_runs(tmp_path / "bad.jsonl", ["b"], execution_config={"weights": {"depth": 0.5}}).read_text()
    file = tmp_path / "runs.jsonl"
    file.write_text(good + bad)
    return file


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", [("check",), ("plan",), ("run", "-o", "OUT")])
def test_depth_without_a_video_and_without_an_estimator_is_refused(
    command: tuple[str, ...],
    tmp_path: Path,
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert call(monkeypatch, *(word.replace("OUT", str(out)) for word in command), runs_file) == 2
    assert (
        f"{runs_file}:2: run b: controls.depth: making depth control videos needs an extra that is not installed: "
        "pip install 'cosmos-batch[estimators]'; or give the control video"
    ) in capsys.readouterr().err.splitlines()
    assert not (out / "a").exists()


def test_script_that_makes_depth_itself_is_not_refused(runs_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "check", runs_file, "--engine", "transfer1") == 0


@pytest.mark.parametrize(
    "command", [("check",), ("plan",), ("run", "--skip-invalid", "-o", "OUT"), ("serve", "HOME")]
)
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("./weights", "model = ./weights: no such folder, and no hub id (owner/name) either"),
        ("nvidia/Cosmos-Transfer2.5-2B", "a model from the Hugging Face hub needs an extra that is not installed"),
        ("EMPTY", "transformer: no such folder"),
    ],
)
def test_absent_model_is_refused_before_anything_else(
    command: tuple[str, ...],
    model: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip(tmp_path / "in.mp4")
    (tmp_path / "empty").mkdir()
    files = [write_runs(tmp_path / "runs.jsonl", ["a"])] if command != ("serve", "HOME") else []
    places = {"OUT": str(tmp_path / "out"), "HOME": str(tmp_path / "home"), "EMPTY": str(tmp_path / "empty")}
    words = [places.get(word, word) for word in (*command, "--model", model)]
    assert call(monkeypatch, *words, *files) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "a").exists()


def test_branch_that_the_model_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "in.mp4")
    model = write_tiny_model(tmp_path / "model")
    shutil.rmtree(model / "controlnet" / "edge")
    runs_file = write_runs(tmp_path / "runs.jsonl", ["a"])
    assert call(monkeypatch, "check", runs_file, "--model", model) == 2
    assert (
        "run a: controls.edge: engine tiny has no such control; it has depth, seg, vis" in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", ["run", "serve"])
def test_script_needs_its_configuration_and_what_that_names(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "in.mp4")
    files = [write_runs(tmp_path / "runs.jsonl", ["a"]), "-o", tmp_path / "out"]
    words = [command, *(files if command == "run" else [tmp_path / "home"]), "--engine", "transfer1"]
    assert call(monkeypatch, *words) == 2
    assert (
        "engine 'transfer1' runs NVIDIA's script; say where that is, with --config FILE" in capsys.readouterr().err
    )
    config = tmp_path / "scripts.toml"
    config.write_text('[transfer1]\nfolder = "/no/such/folder"\npython = "no-such-python"\n')
    assert call(monkeypatch, *words, "--config", config) == 2
    said = capsys.readouterr().err
    assert f"{config}: transfer1.folder = /no/such/folder: there is no such folder; correct it" in said
    assert f"{config}: transfer1.python = no-such-python: there is no such program; correct it" in said


def test_every_problem_of_a_run_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "in.mp4")
    config = {"weights": {"depth": 0.5, "wsm": 0.5}, "resolution": "9999"}
    record = json.loads(write_runs(tmp_path / "runs.jsonl", ["a"], execution_config=config).read_text())
    record["inputs"]["wsm"] = "in.mp4"
    (tmp_path / "runs.jsonl").write_text(json.dumps(record))
    assert call(monkeypatch, "check", tmp_path / "runs.jsonl") == 2
    said = capsys.readouterr().err
    assert all(each in said for each in ("controls.depth", "controls.wsm", "resolution"))
