"""The scenario by a service with the simulated engine, and the step of one video, on the CPU."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.pair import Service, row, scenario, step_of_one
from benchmarks.gpu.size import Size

LAUNCHER = (sys.executable, "-m", "tests.support.cli_launcher")


def free_port() -> int:
    """A port that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_service_makes_the_ten_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = scenario(Service(None, LAUNCHER, free_port()), tmp_path, Size(32, 32, 2), 2, workers=1)

    assert seconds > 0
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_the_step_of_one_video_is_measured(model: Path, tmp_path: Path) -> None:
    assert step_of_one(model, tmp_path, Size(48, 32, 9), split=False) > 0


def test_a_row_has_the_ratio() -> None:
    assert row("a step, s", 3.0, 1.5) == "| a step, s | 3.000 | 1.500 | 2.00 |"
