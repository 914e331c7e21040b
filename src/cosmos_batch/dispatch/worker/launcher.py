"""Launchers: how a supervisor starts, polls and stops the workers of a service, wherever they run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import Inflight, read_inflight
from cosmos_batch.dispatch.worker.process import PARENT


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker ended."""

    how: str  # "exit code 1", "killed by SIGKILL"
    expected: bool  # it stopped, or asked for a fresh start: no crash
    inflight: Inflight  # what it was executing, by its in-flight marker


class WorkerLauncher(Protocol):
    """Starts the workers of a service, by number; at most one worker of each number lives at a time.

    Every method is called by the supervisor's thread, which lives as long as the workers do.
    """

    def start(self, number: int) -> str:
        """Start worker `number`; returns the id by which the log names it, such as a process id."""

    def poll(self, number: int) -> WorkerExit | None:
        """Return how worker `number` ended, once; None while it lives. Does not block."""

    def stop(self) -> Mapping[int, WorkerExit]:
        """Stop all workers at their next step, wait until they have ended, return how each did.

        A worker that takes too long is killed.
        """


class LocalWorkerLauncher:
    """Runs workers as processes of this machine, which end with the process that started them."""

    def __init__(self, home: ServiceHome, command: Callable[[int], Sequence[str]], *, grace: float = 60.0) -> None:
        """`command(n)`: the command line of worker n; `grace`: seconds that a worker may take to save its runs."""
        self._home = home
        self._command = command
        self._grace = grace
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> str:
        """Start the process of worker `number`; returns its process id."""
        environment = os.environ | {PARENT: str(os.getpid())}
        process = subprocess.Popen(list(self._command(number)), stdin=subprocess.PIPE, env=environment)
        self._processes[number] = process
        return str(process.pid)

    def poll(self, number: int) -> WorkerExit | None:
        """Return how the process of worker `number` ended, once; None while it lives."""
        process = self._processes[number]
        return None if process.poll() is None else self._ended(number)

    def stop(self) -> dict[int, WorkerExit]:
        """Send SIGTERM to every process, and SIGKILL to those that live when the grace is over."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return {number: self._ended(number) for number in list(self._processes)}

    def _ended(self, number: int) -> WorkerExit:
        process = self._processes.pop(number)
        if process.stdin is not None:
            process.stdin.close()
        code = process.returncode
        expected = code in (ExitCode.STOPPED, ExitCode.AWAY, ExitCode.BROKEN)
        return WorkerExit(describe_exit(code), expected, read_inflight(self._home.marker(number)))


def describe_exit(code: int) -> str:
    """Describe an exit code as `subprocess` gives it: "killed by SIGKILL", "exit code 1"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
