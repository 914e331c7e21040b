"""Processes for tests of the launchers: one that never ends by itself, and a stand-in for docker."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

# Starts a grandchild, prints the ids of both, ignores SIGTERM, and never ends by itself.
LINGER = (
    "import os, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(os.getpid(), child.pid, flush=True)\n"
    "time.sleep(600)\n"
)
# Starts two processes that leave its session and its family; exits where it is given "exit".
DESERT = (
    "import os, subprocess, sys, time\n"
    "for _ in range(2):\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        if os.fork() == 0:\n"
    "            os.write(1, f'{os.getpid()}\\n'.encode())\n"
    "            os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)'], {})\n"
    "        os._exit(0)\n"
    "    os.wait()\n"
    "time.sleep(2 if sys.argv[1] == 'exit' else 600)\n"
)
FAKE_DOCKER = """#!{python}
import os, sys
arguments = sys.argv[1:]
if arguments[0] == "rm":
    sys.exit(0)
assert arguments[:4] == ["run", "--rm", "--interactive", "--init"], arguments
image = arguments.index("an/image:1")
for word in arguments[4:image]:
    name, _, value = word.partition("=")
    if name == "--env":
        key, _, value = value.partition("=")
        os.environ[key] = value
    elif name == "--workdir":
        os.chdir(value)
os.execvp(arguments[image + 1], arguments[image + 1:])
"""


def fake_docker(folder: Path) -> str:
    """A program that runs the command of a `docker run` in place of a container; returns its path."""
    path = folder / "docker"
    path.write_text(FAKE_DOCKER.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def lingering(tmp_path: Path) -> list[int]:
    """The process ids that LINGER or DESERT printed to the log."""
    for _ in range(500):
        with suppress(OSError, ValueError):
            if len(pids := [int(pid) for pid in (tmp_path / "log").read_text().split()]) == 2:
                return pids
        time.sleep(0.02)
    raise AssertionError((tmp_path / "log").read_text())


def gone(pids: list[int]) -> bool:
    """Whether all of these processes end within 10 s."""
    for _ in range(500):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False
