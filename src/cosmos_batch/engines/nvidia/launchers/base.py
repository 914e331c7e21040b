"""What starts a script: on this machine, in a container, on another host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SUPERVISOR = Path(__file__).with_name("watchdog.py").read_text(encoding="utf-8")
LOST = 128 + 9
"""The exit status of a process of which nothing is known but that it is gone: as if it had been killed."""


def supervised(python: str, argv: tuple[str, ...], patience: float = 0) -> tuple[str, ...]:
    """The command line that runs `argv` and ends with whoever started it, and holds its stdin.

    `patience`: seconds without a byte on stdin after which the starter counts as gone; 0: only when stdin ends.
    """
    return (python, "-I", "-S", "-c", SUPERVISOR, f"{patience:g}", *argv)


def killed(status: int) -> bool:
    """Whether a signal ended a process with that exit status."""
    return status > 128


@dataclass(frozen=True, slots=True)
class ScriptCommand:
    """A script to be started."""

    python: str  # the interpreter, where the script runs
    argv: tuple[str, ...]  # the whole command line, as data: nothing in it is ever read by a shell
    env: Mapping[str, str]  # over the environment that is there
    cwd: str  # where the script runs
    outputs: Path  # its output folder, by its local name
    outputs_there: str  # the same, as the launcher's `there` named it
    log: Path  # the local file that gets all that it says, as it says it


class Process(Protocol):
    """A script that was started. Names of outputs are relative to the output folder. All raise EngineError."""

    def poll(self) -> int | None:
        """Its exit status, 128 + n where a signal n ended it; None while it runs."""

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder of its outputs; none where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """The contents of a small output; None where there is none."""

    def fetch(self, name: str) -> Path | None:
        """Bring a finished output here, under its local name; None where there is none."""

    def close(self) -> None:
        """End it with all that it started, if it still runs, and forget its outputs that were not fetched."""


class Launcher(Protocol):
    """Where scripts run. All raise EngineError, and MediaError for an input that cannot be read."""

    def there(self, path: Path) -> str:
        """What a local file or folder is called where scripts run; a file is brought there, once per content."""

    def start(self, order: ScriptCommand) -> Process:
        """Start a script."""

    def close(self) -> None:
        """Free what the launcher holds."""
