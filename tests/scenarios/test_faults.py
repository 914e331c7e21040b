"""Real processes, killed at moments drawn with a fixed seed: a short `python -m benchmarks.faults`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults import all_processes, attack, is_worker
from benchmarks.stage import make_run
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import ENDED, Ledger, State, Submission
from tests.support.dispatch_world import make_input
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of the benchmark import it from here."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")


def test_repeated_kills_lose_double_and_mix_up_no_run(tmp_path: Path) -> None:
    report = attack(tmp_path, kills=4, seed=3, workers=1, disturb=0.3)

    assert report.clean, str(report)
    assert sum(report.kills.values()) == 4
    assert report.states["succeeded"] > 20


@pytest.fixture
def home(tmp_path: Path) -> Iterator[ServiceHome]:
    """The folder of a running service."""
    made = ServiceHome(tmp_path / "home")
    made.make()
    command = [sys.executable, "-m", "benchmarks.stage", "serve", str(made.root)]
    server = subprocess.Popen(command, env=os.environ | {"STAGE_STEP": "0.05"}, stderr=subprocess.DEVNULL)
    yield made
    server.kill()
    server.wait()


def workers_of(home: ServiceHome) -> list[int]:
    return [pid for pid in all_processes() if is_worker(pid, home) and b"\0worker\0" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def test_run_that_kills_its_worker_is_quarantined_and_the_others_succeed(
    home: ServiceHome, tmp_path: Path
) -> None:
    video = make_input(tmp_path / "in.mp4")
    ledger = Ledger(home.ledger)
    names = ["a", "b", "c"]
    ledger.runs.accept([Submission(make_run(name, video)) for name in names])
    ledger.runs.accept([Submission(make_run("poison", video, prompt="poison"))])

    wait_until(lambda: set(ledger.queries.states()) <= set(ENDED))

    states = {status.id: status.state for status in ledger.queries.statuses()}
    assert states == dict.fromkeys(names, State.SUCCEEDED) | {"poison": State.FAILED}
    record = ledger.queries.get("poison")
    assert record is not None
    assert "workers crashed while executing it" in record.cause
    assert "killed by SIGKILL" in record.cause
    ledger.close()


def test_no_worker_outlives_its_server(home: ServiceHome) -> None:
    wait_until(lambda: workers_of(home))
    (worker,) = workers_of(home)
    server = int((home.root / "lock").read_text())

    os.kill(server, signal.SIGKILL)

    wait_until(lambda: not is_worker(worker))
