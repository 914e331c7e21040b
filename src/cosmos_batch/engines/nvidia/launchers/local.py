"""Starts scripts as processes of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cosmos_batch.engines.nvidia.launchers.base import ScriptCommand, with_watchdog
from cosmos_batch.engines.nvidia.launchers.environment import script_environment
from cosmos_batch.engines.nvidia.launchers.watchdog import GRACE_SECONDS
from cosmos_batch.errors import EngineError


class LocalProcess:
    """A process of this machine, under the watchdog."""

    def __init__(
        self, argv: Sequence[str], command: ScriptCommand, *, cwd: str | None, env: Mapping[str, str] | None
    ) -> None:
        """Start `argv`, which runs the command under the watchdog. Raises EngineError."""
        self._outputs = command.outputs
        try:
            with command.log.open("ab") as log:
                self._child = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
        except (OSError, ValueError) as exc:
            raise EngineError(f"{argv[0]} cannot be started in {cwd or Path.cwd()}: {exc}") from exc

    def poll(self) -> int | None:
        """Its exit status, 128 + n where a signal n ended it; None while it runs."""
        status = self._child.poll()
        return 128 - status if status is not None and status < 0 else status

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder of its outputs; empty where there is no such folder."""
        try:
            return frozenset(os.listdir(self._outputs / folder))  # noqa: PTH208 - names, and many of them
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError as exc:
            raise EngineError(f"{self._outputs / folder} cannot be read: {exc.strerror}") from exc

    def read(self, name: str) -> bytes | None:
        """The contents of a small output; None where there is none."""
        try:
            return (self._outputs / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise EngineError(f"{self._outputs / name} cannot be read: {exc.strerror}") from exc

    def fetch(self, name: str) -> Path | None:
        """The path of an output; None where there is none."""
        path = self._outputs / name
        return path if path.is_file() else None

    def close(self) -> None:
        """End it with all processes that it started, and delete its outputs."""
        if self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()  # the watchdog then ends the script
        try:
            self._child.wait(2 * GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        shutil.rmtree(self._outputs, ignore_errors=True)


class LocalLauncher:
    """Starts scripts on this machine, under this user."""

    copies_inputs = False

    def stage(self, path: Path) -> str:
        """The path itself."""
        return str(path)

    def start(self, command: ScriptCommand) -> LocalProcess:
        """Start a script."""
        env = script_environment(os.environ, command.env)
        return LocalProcess(with_watchdog(command.python, command.argv), command, cwd=command.cwd, env=env)

    def close(self) -> None:
        """Do nothing: the launcher holds nothing."""
