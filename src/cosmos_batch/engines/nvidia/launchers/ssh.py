"""Starts scripts on a GPU host: ssh to run them, SFTP to copy inputs there and outputs back.

The host's key must be in a known-hosts file; an unknown key is never accepted. The remote user's shell must be a
POSIX shell: it gets one quoted command line, in which every word is data.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import asyncssh

from cosmos_batch.engines.nvidia.launchers.base import LOST, ScriptCommand, with_watchdog
from cosmos_batch.engines.nvidia.launchers.remote_files import ContentNames
from cosmos_batch.engines.nvidia.launchers.watchdog import GRACE_SECONDS
from cosmos_batch.errors import EngineError, MediaError

_T = TypeVar("_T")
_RECONNECT_PAUSES = (0.5, 1, 2, 4, 8, 16, 32)  # seconds between attempts to reconnect to a host
_KEEPALIVE_SECONDS = 15  # between two keepalive requests to the host; after three without answer it is lost
_HEARTBEAT_SECONDS = 10  # between two bytes to the watchdog there
WATCHDOG_TIMEOUT = 40  # without a byte, until the watchdog ends the script: before the host counts as lost here


@dataclass(frozen=True, slots=True)
class Host:
    """A GPU host, and how to log in there."""

    name: str
    folder: str  # absolute; for the files of the launches, made if missing
    user: str | None = None  # None: as ~/.ssh/config says, else this user
    port: int | None = None
    # File of a private key; None: as ~/.ssh/config says, else the agent and the usual files
    key: str | None = None
    known_hosts: str | None = None  # None: ~/.ssh/known_hosts


class _Loop:
    """An event loop in its own thread, for synchronous callers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine and return its result. Errors of ssh, SFTP and the network become EngineError."""
        if self._loop.is_closed():
            work.close()
            raise EngineError("ssh: the connection was closed")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (asyncssh.Error, OSError, CancelledError) as exc:
            raise EngineError(f"ssh: {type(exc).__name__}: {exc}") from exc

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SshProcess:
    """A process of the host, under the watchdog. It ends when the connection does."""

    def __init__(
        self,
        loop: _Loop,
        process: asyncssh.SSHClientProcess[bytes],
        sftp: asyncssh.SFTPClient,
        outputs: Path,
        remote: str,
    ) -> None:
        self._loop = loop
        self._process = process
        self._sftp = sftp
        self._outputs = outputs
        self._remote = remote

    def poll(self) -> int | None:
        """Its exit status, 128 + n where a signal n ended it; None while it runs."""
        return self._loop.wait(self._status())

    async def _status(self) -> int | None:
        if not self._process.is_closing():
            return None
        await self._process.wait_closed()  # the log is complete then
        status = self._process.returncode
        return LOST if status is None else 128 - status if status < 0 else status

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder of its outputs; empty where there is no such folder."""
        return self._loop.wait(self._listing(f"{self._remote}/{folder}"))

    async def _listing(self, path: str) -> frozenset[str]:
        try:
            return frozenset(str(name) for name in await self._sftp.listdir(path)) - {".", ".."}
        except asyncssh.SFTPNoSuchFile:
            return frozenset()

    def read(self, name: str) -> bytes | None:
        """The contents of a small output; None where there is none."""
        return self._loop.wait(self._read(f"{self._remote}/{name}"))

    async def _read(self, path: str) -> bytes | None:
        try:
            async with self._sftp.open(path, "rb", encoding=None) as stream:
                contents = await stream.read()
        except asyncssh.SFTPNoSuchFile:
            return None
        assert isinstance(contents, bytes)  # as no encoding is given
        return contents

    def fetch(self, name: str) -> Path | None:
        """Copy a finished output to this machine, and return its path; None where there is none."""
        target = self._outputs / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target if self._loop.wait(self._fetch(f"{self._remote}/{name}", target)) else None

    async def _fetch(self, path: str, target: Path) -> bool:
        try:
            await self._sftp.get(path, target)
        except asyncssh.SFTPNoSuchFile:
            return False
        return True

    def close(self) -> None:
        """End it with all processes that it started, and delete its outputs there."""
        with suppress(EngineError):  # the host is out of reach: its watchdog sees the connection end
            self._loop.wait(self._close())

    async def _close(self) -> None:
        if not self._process.is_closing():
            self._process.stdin.write_eof()  # the watchdog then ends the script's process group
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait_closed(), 2 * GRACE_SECONDS)
        self._process.close()
        with suppress(asyncssh.SFTPNoSuchFile):
            await self._sftp.rmtree(self._remote)


@dataclass(slots=True)
class _Connection:
    """An open connection with its SFTP client."""

    ssh: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient


class SshLauncher:
    """Starts scripts on one GPU host, over one connection, which is reopened when it is lost."""

    copies_inputs = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._names = ContentNames()
        self._staged: set[str] = set()  # inputs known to be there since the connection was opened
        self._loop = _Loop()
        self._connection: _Connection | None = None
        self._heartbeat: asyncio.Task[None] | None = None  # of the latest process

    def stage(self, path: Path) -> str:
        """Copy a file to the host unless it is there, and return its path; for a folder, a new path there."""
        if not path.is_file():
            return f"{self._host.folder}/{path.name}-{secrets.token_hex(6)}"
        name = f"{self._host.folder}/inputs/{self._names.name(path)}"
        if name not in self._staged:
            self._loop.wait(self._upload(path, name))
            self._staged.add(name)
        return name

    async def _upload(self, path: Path, name: str) -> None:
        sftp = (await self._connected()).sftp
        if await sftp.exists(name) and await sftp.getsize(name) == path.stat().st_size:
            return
        await sftp.makedirs(name.rpartition("/")[0], exist_ok=True)
        part = f"{name}.{secrets.token_hex(8)}"
        await sftp.put(path, part)
        if not name.endswith(f"/{self._names.name(path)}"):
            await sftp.remove(part)
            raise MediaError(f"{path}: the file changed while it was copied; wait until it is written")
        await sftp.posix_rename(part, name)

    async def _connected(self) -> _Connection:
        """The connection; after a loss a new one, as soon as the host answers."""
        if self._connection is not None and not self._connection.ssh.is_closed():
            return self._connection
        self._staged.clear()
        for pause in _RECONNECT_PAUSES if self._connection is not None else ():
            try:
                self._connection = await self._connect()
            except (OSError, asyncssh.ConnectionLost):
                await asyncio.sleep(pause)
            else:
                return self._connection
        self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> _Connection:
        host = self._host
        options = {
            "port": host.port,
            "username": host.user,
            "client_keys": [host.key] if host.key else None,
            "known_hosts": host.known_hosts,
        }
        connection = await asyncssh.connect(
            host.name,
            **{name: value for name, value in options.items() if value is not None},
            keepalive_interval=_KEEPALIVE_SECONDS,
        )
        return _Connection(connection, await connection.start_sftp_client())

    def start(self, command: ScriptCommand) -> SshProcess:
        """Start a script."""
        return self._loop.wait(self._start(command))

    async def _start(self, command: ScriptCommand) -> SshProcess:
        connection = await self._connected()
        await connection.sftp.makedirs(command.staged_outputs, exist_ok=True)
        process = await connection.ssh.create_process(
            command_line(command),
            stdout=command.log.open("ab", buffering=0),
            stderr=asyncssh.STDOUT,
            encoding=None,
        )
        self._heartbeat = asyncio.create_task(_send_heartbeat(process))
        return SshProcess(self._loop, process, connection.sftp, command.outputs, command.staged_outputs)

    def close(self) -> None:
        """Close the connection."""
        with suppress(EngineError):
            self._loop.wait(self._disconnect())
        self._loop.close()

    async def _disconnect(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        if self._connection is not None:
            self._connection.sftp.exit()
            self._connection.ssh.close()
            await self._connection.ssh.wait_closed()


async def _send_heartbeat(process: asyncssh.SSHClientProcess[bytes]) -> None:
    """Send a byte to the watchdog at intervals, as long as the process runs."""
    with suppress(OSError, asyncssh.Error):
        while not process.is_closing():
            process.stdin.write(b".")
            await asyncio.sleep(_HEARTBEAT_SECONDS)


def command_line(command: ScriptCommand) -> str:
    """A command as one line for a POSIX shell, every word quoted."""
    env = [f"{key}={value}" for key, value in command.env.items()]
    words = ["env", *env, *with_watchdog(command.python, command.argv, WATCHDOG_TIMEOUT)]
    return f"cd -- {shlex.quote(command.cwd)} && exec {shlex.join(words)}"
