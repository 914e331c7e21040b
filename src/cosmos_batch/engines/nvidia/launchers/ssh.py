"""Scripts on a GPU host: ssh to run them, SFTP to bring inputs there and outputs back.

The host's key must be in a known-hosts file; it is never accepted unseen. The remote user's shell must be a POSIX
shell: it is given one quoted command line, in which every word is data.
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

from cosmos_batch.engines.nvidia.launchers.base import LOST, ScriptCommand, supervised
from cosmos_batch.engines.nvidia.launchers.remote_files import ContentNames
from cosmos_batch.engines.nvidia.launchers.watchdog import GRACE_SECONDS
from cosmos_batch.errors import EngineError

_T = TypeVar("_T")
_PAUSES = (0.5, 1, 2, 4, 8, 16, 32)  # seconds between tries to reach a host again that was lost
_ALIVE_SECONDS = 15  # between two signs of life asked of the host; after three without answer it is lost
_BEAT_SECONDS = 10  # between two signs of life given to the supervisor there
PATIENCE_SECONDS = 40  # without one, until the supervisor ends the script: before the host counts as lost here


@dataclass(frozen=True, slots=True)
class Host:
    """A GPU host, and how to log in there."""

    name: str
    folder: str  # absolute; for the files of the launches, made if need be
    user: str | None = None  # None: as ~/.ssh/config says, else this user
    port: int | None = None
    # File of a private key; None: as ~/.ssh/config says, else the agent and the usual files
    key: str | None = None
    known_hosts: str | None = None  # None: ~/.ssh/known_hosts


class _Loop:
    """An event loop in a thread of its own, for callers who wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of the work. Whatever ssh, SFTP or the network raise becomes an EngineError."""
        if self._loop.is_closed():
            work.close()
            raise EngineError("ssh: the connection was closed")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (asyncssh.Error, OSError, CancelledError) as exc:
            raise EngineError(f"ssh: {type(exc).__name__}: {exc}") from exc

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SshProcess:
    """A supervised process of the host. It ends when the connection does."""

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
        await self._process.wait_closed()  # all that it said has been written down
        status = self._process.returncode
        return LOST if status is None else 128 - status if status < 0 else status

    def listing(self, folder: str = "") -> frozenset[str]:
        """Names in a folder of its outputs; none where there is no such folder."""
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
        assert isinstance(contents, bytes)  # for want of an encoding
        return contents

    def fetch(self, name: str) -> Path | None:
        """Bring a finished output here, under its local name; None where there is none."""
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
        """End it with all that it started, if it still runs, and remove its outputs there."""
        with suppress(EngineError):  # the host is out of reach: its supervisor sees the connection end
            self._loop.wait(self._close())

    async def _close(self) -> None:
        if not self._process.is_closing():
            self._process.stdin.write_eof()  # upon which the supervisor ends the script's group
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait_closed(), 2 * GRACE_SECONDS)
        self._process.close()
        with suppress(asyncssh.SFTPNoSuchFile):
            await self._sftp.rmtree(self._remote)


@dataclass(slots=True)
class _Line:
    """A connection that is up."""

    connection: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient


class SshLauncher:
    """Starts scripts on one GPU host, over one connection, which is made anew when it was lost."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._names = ContentNames()
        self._there: set[str] = set()  # inputs that were seen there over this connection
        self._loop = _Loop()
        self._line: _Line | None = None
        self._beats: asyncio.Task[None] | None = None  # of the latest process

    def there(self, path: Path) -> str:
        """A file's name on the host, under which it now lies there; of a folder to be, a name for it there."""
        if not path.is_file():
            return f"{self._host.folder}/{path.name}-{secrets.token_hex(6)}"
        name = f"{self._host.folder}/inputs/{self._names.name(path)}"
        if name not in self._there:
            self._loop.wait(self._bring(path, name))
            self._there.add(name)
        return name

    async def _bring(self, path: Path, name: str) -> None:
        sftp = (await self._connected()).sftp
        if await sftp.exists(name) and await sftp.getsize(name) == path.stat().st_size:
            return
        await sftp.makedirs(name.rpartition("/")[0], exist_ok=True)
        part = f"{name}.{secrets.token_hex(8)}"
        await sftp.put(path, part)
        await sftp.posix_rename(part, name)

    async def _connected(self) -> _Line:
        """The line; where it was lost, a new one, as soon as the host answers."""
        if self._line is not None and not self._line.connection.is_closed():
            return self._line
        self._there.clear()
        for pause in _PAUSES if self._line is not None else ():
            try:
                self._line = await self._connect()
            except (OSError, asyncssh.ConnectionLost):
                await asyncio.sleep(pause)
            else:
                return self._line
        self._line = await self._connect()
        return self._line

    async def _connect(self) -> _Line:
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
            keepalive_interval=_ALIVE_SECONDS,
        )
        return _Line(connection, await connection.start_sftp_client())

    def start(self, order: ScriptCommand) -> SshProcess:
        """Start a script."""
        return self._loop.wait(self._start(order))

    async def _start(self, order: ScriptCommand) -> SshProcess:
        line = await self._connected()
        await line.sftp.makedirs(order.outputs_there, exist_ok=True)
        process = await line.connection.create_process(
            command_line(order),
            stdout=order.log.open("ab", buffering=0),
            stderr=asyncssh.STDOUT,
            encoding=None,
        )
        self._beats = asyncio.create_task(_beat(process))
        return SshProcess(self._loop, process, line.sftp, order.outputs, order.outputs_there)

    def close(self) -> None:
        """Hang up."""
        with suppress(EngineError):
            self._loop.wait(self._hang_up())
        self._loop.close()

    async def _hang_up(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
        if self._line is not None:
            self._line.sftp.exit()
            self._line.connection.close()
            await self._line.connection.wait_closed()


async def _beat(process: asyncssh.SSHClientProcess[bytes]) -> None:
    """Tell the supervisor that we are there, as long as the process runs."""
    with suppress(OSError, asyncssh.Error):
        while not process.is_closing():
            process.stdin.write(b".")
            await asyncio.sleep(_BEAT_SECONDS)


def command_line(order: ScriptCommand) -> str:
    """An order as one line for a POSIX shell, every word of it quoted."""
    env = [f"{key}={value}" for key, value in order.env.items()]
    words = ["env", *env, *supervised(order.python, order.argv, PATIENCE_SECONDS)]
    return f"cd -- {shlex.quote(order.cwd)} && exec {shlex.join(words)}"
