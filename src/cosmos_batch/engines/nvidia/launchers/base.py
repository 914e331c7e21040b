"""Protocols of a launcher and its processes, and the command that they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WATCHDOG = Path(__file__).with_name("watchdog.py").read_text(encoding="utf-8")
LOST = 128 + 9
"""The exit status of a process that was lost: as if it had been killed."""


def with_watchdog(python: str, argv: tuple[str, ...], timeout: float = 0) -> tuple[str, ...]:
    """The command line that runs `argv` under the watchdog, which ends it when its starter is gone.

    `timeout`: seconds without a byte on stdin after which the starter counts as gone; 0: only when stdin ends.
    """
    return (python, "-I", "-S", "-c", WATCHDOG, f"{timeout:g}", *argv)


def killed(status: int) -> bool:
    """Whether a signal ended a process with that exit status."""
    return status > 128


@dataclass(frozen=True, slots=True)
class ScriptCommand:
    """A script to start."""

    python: str  # the interpreter, where the script runs
    argv: tuple[str, ...]  # the whole command line, as data: no shell reads any of it
    env: Mapping[str, str]  # what the configuration adds to the environment there
    cwd: str  # where the script runs
    outputs: Path  # its output folder on this machine
    staged_outputs: str  # the same folder where the script runs, as `stage` returned it
    log: Path  # the local file that its output is appended to


class Process(Protocol):
    """A started script. Names of outputs are relative to the output folder. All methods raise EngineError."""

    def poll(self) -> int | None:
        """Its exit status, 128 + n where a signal n ended it; None while it runs."""

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder of its outputs; empty where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """The contents of a small output; None where there is none."""

    def fetch(self, name: str) -> Path | None:
        """Copy a finished output to this machine, and return its path; None where there is none."""

    def close(self) -> None:
        """End it with all processes that it started, and delete the outputs that were not fetched."""


class Launcher(Protocol):
    """A place where scripts run. All methods raise EngineError, and MediaError for an unreadable input."""

    @property
    def copies_inputs(self) -> bool:
        """Whether scripts read copies of their inputs: a later change of an input does not matter."""

    def stage(self, path: Path) -> str:
        """The path of a local file or folder where scripts run; a file is copied there, once per content."""

    def start(self, command: ScriptCommand) -> Process:
        """Start a script."""

    def close(self) -> None:
        """Free what the launcher holds."""
