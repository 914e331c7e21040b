"""Ssh servers on the loopback interface: OpenSSH's where it is installed, and one that asyncssh runs."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh

from cosmos_batch.engines.nvidia.launchers.ssh import Host

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/sbin")


@dataclass(frozen=True)
class Server:
    """A running server, with the keys by which a client trusts it and logs in."""

    port: int
    known_hosts: Path
    key: Path
    daemon: int = 0  # its process

    def host(self, folder: Path, **changed: str) -> Host:
        """This server as a GPU host, with a folder for launches."""
        known = {"known_hosts": str(self.known_hosts), "key": str(self.key), **changed}
        return Host("127.0.0.1", str(folder), user=getpass.getuser(), port=self.port, **known)


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def keys(folder: Path, port: int) -> Server:
    """Make a host key, listed in known_hosts, and an authorized user key."""
    for name in ("host_key", "user_key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
        (folder / name).chmod(0o600)
    public = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    return Server(port, folder / "known_hosts", folder / "user_key")


@contextmanager
def openssh(folder: Path) -> Iterator[Server]:
    """OpenSSH's server, as this user."""
    server = keys(folder, free_port())
    config = folder / "sshd_config"
    config.write_text(
        f"Port {server.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder / 'user_key.pub'}\nStrictModes no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # folder of sshd's privilege separation, when started as root
    assert SSHD is not None
    with (folder / "sshd.log").open("wb") as log:
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
    try:
        _wait_for(server.port)
        yield server
    finally:
        daemon.terminate()
        daemon.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")


@contextmanager
def asyncssh_server(folder: Path) -> Iterator[Server]:
    """A server of asyncssh in its own process, which runs command lines by /bin/sh as sshd does."""
    server = keys(folder, free_port())
    daemon = subprocess.Popen([sys.executable, __file__, str(server.port), str(folder)])
    try:
        _wait_for(server.port)
        yield replace(server, daemon=daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait()


@contextmanager
def restarted(server: Server) -> Iterator[None]:
    """Kill a server of asyncssh with all its connections, and restart it after a moment."""
    os.kill(server.daemon, signal.SIGKILL)
    time.sleep(0.3)
    daemon = subprocess.Popen([sys.executable, __file__, str(server.port), str(server.key.parent)])
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait()


async def _serve(port: int, folder: Path) -> None:
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "user_key.pub"),
        process_factory=_run,
        sftp_factory=True,
        encoding=None,
    )
    await asyncio.Event().wait()


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    pipe = asyncio.subprocess.PIPE
    shell = ("/bin/sh", "-c", process.command or "")
    child = await asyncio.create_subprocess_exec(*shell, stdin=pipe, stdout=pipe, stderr=pipe)
    await process.redirect(child.stdin, child.stdout, child.stderr)
    process.exit(await child.wait())


SERVERS = {"asyncssh": asyncssh_server} | ({"openssh": openssh} if SSHD else {})

if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
