"""A worker's process ends with the process that started it."""

from __future__ import annotations

import os
import subprocess
import sys

from cosmos_batch.dispatch.worker.process import PARENT
from cosmos_batch.dispatch.worker.worker import ExitCode

SCRIPT = """
import time
from cosmos_batch.dispatch.worker.process import end_with_parent
end_with_parent()
print("started", flush=True)
time.sleep(60)
"""


def start(parent: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {PARENT: str(parent)}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def test_process_ends_when_its_input_is_closed() -> None:
    with start(os.getpid()) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"started\n"
        assert process.poll() is None

        process.stdin.close()

        assert process.wait(60) == ExitCode.STOPPED


def test_process_whose_parent_died_before_it_started_ends_at_once() -> None:
    with start(os.getppid()) as process:  # not the parent of that process
        assert process.stdout is not None
        assert process.stdout.read() == b""
        assert process.wait(60) == ExitCode.STOPPED
