"""NVIDIA's scripts as engines."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from cosmos_batch.engines.nvidia.config import Config, DockerConfig, LocalConfig, SshConfig
from cosmos_batch.engines.nvidia.launchers.base import Launcher
from cosmos_batch.engines.nvidia.launchers.docker import DockerLauncher
from cosmos_batch.engines.nvidia.launchers.local import LocalLauncher
from cosmos_batch.engines.nvidia.process_run import ScriptContext
from cosmos_batch.engines.nvidia.scripts import SCRIPTS
from cosmos_batch.engines.nvidia.session import ScriptSession
from cosmos_batch.errors import EngineError, MissingExtraError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits

_LAUNCHES = count(1)
"""Numbers the launches of this process, so that two of the same second have different folders."""


class ScriptEngine:
    """One of NVIDIA's scripts, run where and how the configuration says."""

    def __init__(
        self, name: str, config: Config, cache: ControlCache, scratch: Path, *, poll_seconds: float = 0.5
    ) -> None:
        """`scratch` holds the files of the launches unless the configuration names a folder for them.

        `poll_seconds`: time between two polls of a running script. Raises MissingExtraError for ssh without its
        library.
        """
        script = SCRIPTS[name]
        self._traits = script.traits
        self._config = config
        self._scratch = Path(config.scratch) if config.scratch else scratch
        self._context = ScriptContext(
            script=script,
            config=config,
            launcher=create_launcher(config, self._scratch),
            cache=cache,
            chunks=self._traits.chunks,
            poll_seconds=poll_seconds,
        )

    @property
    def traits(self) -> Traits:
        """Traits of the script."""
        return self._traits

    @property
    def identity(self) -> Mapping[str, str]:
        """The script and its checkpoints, as the configuration names them; their content is not read."""
        script = self._config.script
        return {
            "engine": self._traits.name,
            "model": script.folder,
            "weights": script.checkpoints or "the script's own",
            "launcher": self._config.launcher.kind,
        }

    def open(self, launch: Launch) -> ScriptSession:
        """Start the script on a launch, and wait until its model is loaded. Raises EngineError."""
        folder = self._scratch / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_LAUNCHES)}"
        try:
            folder.mkdir(parents=True)
        except OSError as exc:
            raise EngineError(f"{folder}: cannot be made ({exc.strerror}); name another scratch folder") from exc
        return ScriptSession(self._context, launch, folder)

    def close(self) -> None:
        """Close the connection to a remote host."""
        self._context.launcher.close()


def create_launcher(config: Config, scratch: Path) -> Launcher:
    """Create the launcher of a configuration. Raises MissingExtraError for ssh without its library."""
    match config.launcher:
        case DockerConfig() as docker:
            return DockerLauncher(
                docker.image,
                scratch,
                docker=docker.command,
                gpus=docker.gpus,
                mounts=docker.mounts,
                options=docker.options,
            )
        case SshConfig() as ssh:
            try:
                from cosmos_batch.engines.nvidia.launchers.ssh import Host, SshLauncher
            except ImportError as exc:
                raise MissingExtraError("running scripts over ssh", "ssh") from exc
            key, known_hosts = (path and str(Path(path).expanduser()) for path in (ssh.key, ssh.known_hosts))
            return SshLauncher(Host(ssh.host, ssh.folder, ssh.user, ssh.port, key, known_hosts))
        case LocalConfig():
            return LocalLauncher()
