"""Starts scripts in containers: `docker run`, with the folder of the launches at its own path inside."""

from __future__ import annotations

import csv
import io
import secrets
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cosmos_batch.engines.nvidia.launchers.base import ScriptCommand, with_watchdog
from cosmos_batch.engines.nvidia.launchers.local import LocalProcess
from cosmos_batch.engines.nvidia.launchers.remote_files import ContentNames, copy_once
from cosmos_batch.errors import EngineError

_DOCKER_SECONDS = 60  # limit for `docker rm`


class DockerProcess(LocalProcess):
    """A `docker run` in the foreground, and its container."""

    def __init__(self, docker: str, name: str, argv: tuple[str, ...], command: ScriptCommand) -> None:
        self._remove = (docker, "rm", "--force", name)
        super().__init__(argv, command, cwd=None, env=None)

    def close(self) -> None:
        """End the container."""
        running = self.poll() is None
        super().close()
        if running:  # the client's exit does not end its container
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    self._remove,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=_DOCKER_SECONDS,
                    check=False,
                )


class DockerLauncher:
    """Starts scripts in containers of one image."""

    copies_inputs = True

    def __init__(
        self,
        image: str,
        scratch: Path,
        *,
        docker: str = "docker",
        gpus: str = "all",
        mounts: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """`scratch` is the folder of all launches; `mounts`: further folders, with their paths inside.

        `gpus` and `options` are `docker run`'s own.
        """
        self._image = image
        self._scratch = scratch
        self._docker = docker
        self._gpus = gpus
        self._mounts = {str(scratch): str(scratch), **(mounts or {})}
        self._options = options
        self._names = ContentNames()

    def stage(self, path: Path) -> str:
        """The path itself below the folder of the launches; any other file is copied there, once per content."""
        if path.is_relative_to(self._scratch):
            return str(path)
        if not path.is_file():
            raise EngineError(f"{path}: not a file, and not below {self._scratch}")
        return str(copy_once(path, self._scratch / "inputs", self._names.name(path)))

    def start(self, command: ScriptCommand) -> DockerProcess:
        """Start a script in a new container, which is removed when the script ends."""
        name = f"cosmos-batch-{secrets.token_hex(6)}"
        return DockerProcess(self._docker, name, self.command_line(command, name), command)

    def command_line(self, command: ScriptCommand, name: str) -> tuple[str, ...]:
        """The whole command line that runs a script in a container of this name."""
        mounts = [f"--mount={_mount(source, target)}" for source, target in self._mounts.items()]
        env = [f"--env={key}={value}" for key, value in command.env.items()]
        return (
            *(self._docker, "run", "--rm", "--interactive", "--init", f"--name={name}", f"--gpus={self._gpus}"),
            *(*mounts, *env, f"--workdir={command.cwd}", *self._options, self._image),
            *with_watchdog(command.python, command.argv),
        )

    def close(self) -> None:
        """Do nothing: the launcher holds nothing."""


def _mount(source: str, target: str) -> str:
    """A bind mount as docker reads it: a CSV record, so that a path may hold commas, quotes and colons."""
    record = io.StringIO()
    csv.writer(record, lineterminator="").writerow(["type=bind", f"source={source}", f"target={target}"])
    return record.getvalue()
