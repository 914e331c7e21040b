"""`plan --emit`: whole plans as files."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.emit import emit
from cosmos_batch.errors import InputError, PlanError
from cosmos_batch.media.controls.cache import ControlCache
from tests.support.nvidia_files import planned, run_of


def test_plan_is_written_with_its_commands(tmp_path: Path, street: str) -> None:
    plan = planned([run_of("a", street, edge=1.0), run_of("b", street, depth=1.0)], "transfer25")
    folder = tmp_path / "it's $(here)"

    written = emit(plan, folder, cache=ControlCache(tmp_path / "cache"))

    index = json.loads((folder / "launches.json").read_text())
    assert [[run["id"] for run in launch["runs"]] for launch in index["launches"]] == [["b"], ["a"]]
    commands = [shlex.split(line) for line in (folder / "commands.txt").read_text().splitlines()]
    assert commands == [launch["command"] for launch in index["launches"]]
    assert commands[0][:3] == ["python", "examples/inference.py", "-i"]
    assert commands[0][3] == str(written[0].files[0])


def test_commands_name_the_variables_that_a_script_needs(tmp_path: Path, street: str) -> None:
    plan = planned([run_of("a", street, edge=1.0)], "transfer25-distilled")
    emit(plan, tmp_path / "out", cache=ControlCache(tmp_path / "cache"))
    command = shlex.split((tmp_path / "out" / "commands.txt").read_text())
    assert command[:4] == ["env", "COSMOS_EXPERIMENTAL_CHECKPOINTS=1", "python", "examples/inference.py"]
    assert command[-1] == "--model=edge/distilled"


def test_folder_of_an_earlier_plan_is_refused(tmp_path: Path, street: str) -> None:
    plan = planned([run_of("a", street, edge=1.0)], "cosmos3")
    cache = ControlCache(tmp_path / "cache")
    emit(plan, tmp_path / "out", cache=cache)
    with pytest.raises(InputError, match="holds the files of an earlier plan"):
        emit(plan, tmp_path / "out", cache=cache)


def test_plan_of_an_in_process_engine_has_no_files(tmp_path: Path, street: str) -> None:
    plan = replace(planned([run_of("a", street, edge=1.0)], "cosmos3"), engine="pocket")
    with pytest.raises(PlanError, match="engine 'pocket' reads no files"):
        emit(plan, tmp_path, cache=ControlCache(tmp_path / "cache"))
