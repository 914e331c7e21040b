"""A real command that is killed or interrupted at moments drawn with a fixed seed, then given again."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.dispatch_world import make_input
from tests.support.run_files import write_runs

ROOT = Path(__file__).parents[2]
RUNS = [f"r{index}" for index in range(6)]


def start_command(file: Path, out: Path, step: float) -> subprocess.Popen[str]:
    command = ["run", str(file), "-o", str(out), "--plain", "--save-every", "0", "--max-batch", "3"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.cli_launcher", *command],
        cwd=ROOT,
        env=os.environ | {"REPLAY_STEP": str(step), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_command(file: Path, out: Path) -> str:
    process = start_command(file, out, 0)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


def videos(out: Path) -> dict[str, str]:
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*/output.mp4")}


def kill_once_saved(file: Path, out: Path) -> None:
    """Kill a command that has just written its first checkpoints, with three long steps to go."""
    process = start_command(file, out, 0.5)
    while not any((out / ".cosmos-batch" / "state").glob("*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()


def test_killed_command_continues_to_the_same_videos(tmp_path: Path) -> None:
    make_input(tmp_path / "in.mp4")
    file = write_runs(tmp_path / "runs.jsonl", RUNS)
    run_command(file, tmp_path / "undisturbed")
    draw = random.Random(7)
    out = tmp_path / "killed"

    kill_once_saved(file, out)
    for _ in range(2):
        process = start_command(file, out, 0.03)
        assert process.stdout is not None
        for _ in range(draw.randrange(2, 8)):
            process.stdout.readline()
        try:
            process.wait(timeout=draw.random() * 0.2)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        for published in out.glob("*/run.json"):  # what has its final name is whole
            described = json.loads(published.read_text())["outputs"]["output.mp4"]["sha256"]
            assert described == videos(out)[published.parent.name]
    run_command(file, out)

    assert videos(out) == videos(tmp_path / "undisturbed")
    assert sorted(videos(out)) == RUNS
    resumed = [json.loads((out / run / "run.json").read_text())["resumed"] for run in RUNS]
    assert any(resumed)


def test_ctrl_c_writes_checkpoints_and_names_the_command_to_continue(tmp_path: Path) -> None:
    make_input(tmp_path / "in.mp4")
    file = write_runs(tmp_path / "runs.jsonl", RUNS)
    out = tmp_path / "out"
    process = start_command(file, out, 0.2)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("batch 1"):
        pass

    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)

    assert process.returncode == 130, printed
    assert "the same command continues" in printed
    assert any((out / ".cosmos-batch" / "state").iterdir())
    assert "6 succeeded" in run_command(file, out)
