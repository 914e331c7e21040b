"""Workers as processes of this machine: how they are started, polled and stopped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import STARTING, Inflight
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher, WorkerExit, describe_exit
from cosmos_batch.dispatch.worker.process import PARENT
from cosmos_batch.dispatch.worker.worker import ExitCode
from tests.support.waiting import wait_until

NO_MARKER = Inflight("", STARTING)


def launcher(tmp_path: Path, script: str, grace: float = 60.0) -> LocalWorkerLauncher:
    home = ServiceHome(tmp_path)
    home.make()
    return LocalWorkerLauncher(home, lambda number: [sys.executable, "-S", "-c", script, str(number)], grace=grace)


def end_of(workers: LocalWorkerLauncher, number: int) -> WorkerExit:
    ends: list[WorkerExit] = []

    def ended() -> bool:
        if (end := workers.poll(number)) is not None:
            ends.append(end)
        return bool(ends)

    wait_until(ended)
    return ends[0]


@pytest.mark.parametrize(("code", "expected"), [(0, True), (10, True), (11, True), (1, False)])
def test_exit_codes_of_a_worker_are_expected_and_others_are_crashes(
    tmp_path: Path, code: int, expected: bool
) -> None:
    workers = launcher(tmp_path, f"raise SystemExit({code})")
    workers.start(0)

    assert end_of(workers, 0) == WorkerExit(f"exit code {code}", expected, NO_MARKER)
    assert expected == (code in set(ExitCode))


def test_exit_comes_with_the_marker_of_the_worker(tmp_path: Path) -> None:
    marker = '{"worker": "w", "phase": "engine", "running": {"a": 3}}'
    path = ServiceHome(tmp_path).marker(7)
    workers = launcher(tmp_path, f"open({str(path)!r}, 'w').write({marker!r}); import os; os.abort()")
    workers.start(7)

    assert end_of(workers, 7) == WorkerExit("killed by SIGABRT", False, Inflight("w", "engine", {"a": 3}))


def test_worker_knows_its_supervisor_and_number(tmp_path: Path) -> None:
    known = f"os.environ[{PARENT!r}] == str(os.getppid()) and sys.argv[1] == '3'"
    script = f"import os, sys; raise SystemExit(10 if {known} else 1)"
    workers = launcher(tmp_path, script)
    workers.start(3)

    assert end_of(workers, 3).how == "exit code 10"


def test_stop_ends_every_worker_and_kills_those_that_ignore_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = (
        "import pathlib, signal, sys, time\n"
        "if sys.argv[1] == '1': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r} + sys.argv[1]).touch()\n"
        "time.sleep(60)\n"
    )
    workers = launcher(tmp_path, script, grace=0.2)
    for number in (0, 1):
        workers.start(number)
    wait_until(lambda: all(Path(f"{ready}{number}").exists() for number in (0, 1)))

    ends = workers.stop()

    assert {number: end.how for number, end in ends.items()} == {0: "killed by SIGTERM", 1: "killed by SIGKILL"}
    assert workers.stop() == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (1, "exit code 1"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_exit_code_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words
