"""`cosmos-batch doctor`: a line for each part of the machine, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "doctor", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_machine_that_runs_the_tests_has_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "-o", tmp_path / "new" / "out", "--json") == 0
    states = {each["part"]: each["state"] for each in json.loads(capsys.readouterr().out)}
    assert {states[part] for part in ("torch", "engine pocket", "cosmos-batch", "video codecs")} == {"ok"}
    assert {"gpu", "extra nvidia", "extra estimators", "cache folder", "output folder"} <= states.keys()


def test_model_that_is_not_there_is_a_fault_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--model", tmp_path / "weights") == 1
    lines = capsys.readouterr().out.splitlines()
    (fault,) = [line for line in lines if line.startswith("fault")]
    assert "engine transfer" in fault
    assert "no such folder" in fault
    assert lines[-1] == "1 fault"


def test_folder_that_is_a_file_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("x")
    assert call(monkeypatch, "-o", tmp_path / "out") == 1
    assert f"{tmp_path / 'out'} cannot be written (Not a directory); make it writable" in capsys.readouterr().out
