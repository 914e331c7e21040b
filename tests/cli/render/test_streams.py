"""Output whose reader goes: the work goes on, and no traceback is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dispatch_world import make_input
from tests.support.run_files import write_runs

IDS = [f"r{number}" for number in range(6)]


@pytest.fixture
def runs_file(tmp_path: Path) -> Path:
    make_input(tmp_path / "in.mp4")
    return write_runs(tmp_path / "runs.jsonl", IDS)


def started(*words: str | Path, merged: bool = False) -> subprocess.Popen[str]:
    """The command with the simulated engine; `merged`: its errors go to the same pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.cli_launcher", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        env={**os.environ, "REPLAY_STEP": "0.01"},
        text=True,
    )


def finish_unread(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Close the pipe of the command's output; return its exit code and its errors."""
    with process:
        assert process.stdout is not None
        process.stdout.close()
        code = process.wait(60)
        return code, process.stderr.read() if process.stderr is not None else ""


@pytest.mark.parametrize("merged", [False, True])
def test_run_into_head_makes_every_video(tmp_path: Path, runs_file: Path, merged: bool) -> None:
    process = started("run", runs_file, "-o", tmp_path / "out", merged=merged)
    assert process.stdout is not None
    assert process.stdout.readline()

    assert finish_unread(process) == (0, "")

    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"]: json.loads(line)["state"] for line in lines} == dict.fromkeys(IDS, "succeeded")


@pytest.mark.parametrize("command", ["check", "plan"])
def test_other_commands_keep_their_exit_code(runs_file: Path, command: str) -> None:
    assert finish_unread(started(command, runs_file)) == (0, "")


def test_run_without_any_output_makes_its_videos(tmp_path: Path, runs_file: Path) -> None:
    words = [sys.executable, "-m", "tests.support.cli_launcher", "run", runs_file, "-o", tmp_path / "out"]

    done = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *map(str, words)], check=False, timeout=60)

    assert done.returncode == 0
    assert (tmp_path / "out" / "r5" / "output.mp4").exists()
