"""Run a command in its own process group, and end it with all its processes when its starter is gone.

The starter counts as gone when stdin ends, or brings no byte for the seconds of the first argument (0: no limit).
The other arguments are the command.

On Linux this process is a subreaper: a process of the command whose parent ends becomes a child of this one,
whatever its session and process group. So /proc shows every process that the command has started. A marker in
their environment would get lost where one of them starts a program with an environment of its own; a cgroup takes
rights that a user seldom has. Elsewhere only the process group is ended.

The source of this file is passed to `python -I -S -c` where the script runs, also on another host or in a
container: so it imports the standard library alone, of any Python from 3.8 on. It exits as the command did, with
128 + n where a signal n ended it.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
KILL_SECONDS = 5.0  # for which processes are killed that others start meanwhile
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int) -> None:
    """Set a property of this process, where the system has it."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants() -> "list[int]":
    """Ids of the living processes below this one; none where there is no /proc."""
    children = {}  # type: dict[int, list[tuple[int, str]]]
    with suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - names
            with suppress(OSError, ValueError, IndexError):
                pid = int(name)
                with open(f"/proc/{pid}/stat", errors="replace") as stream:
                    state, parent = stream.read().rpartition(")")[2].split()[:2]
                children.setdefault(int(parent), []).append((pid, state))
    found, parents = [], [os.getpid()]
    while parents:
        below = children.pop(parents.pop(), [])
        parents += [pid for pid, _ in below]
        found += [pid for pid, state in below if state not in "ZX"]
    return found


def send(child: "subprocess.Popen[bytes]", number: signal.Signals) -> bool:
    """Send a signal to the child's group, and to every process below this one. Returns whether there is one."""
    found = descendants()
    with suppress(OSError):
        os.killpg(child.pid, number)
    for pid in found:
        with suppress(OSError):
            os.kill(pid, number)
    return bool(found)


def kill_all(child: "subprocess.Popen[bytes]") -> None:
    """Kill every process until there is none: others may be started meanwhile."""
    until = time.monotonic() + KILL_SECONDS
    while send(child, signal.SIGKILL) and time.monotonic() < until:
        time.sleep(0.02)


def end_all(child: "subprocess.Popen[bytes]") -> None:
    """End every process: SIGTERM, then SIGKILL."""
    send(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    kill_all(child)


def starter_is_alive(patience: float) -> bool:
    """Wait for a byte on stdin. Returns whether one came."""
    ready = select.select([0], [], [], patience or None)[0]
    return bool(ready) and os.read(0, 4096) != b""


def main() -> None:
    """Run the command of the arguments."""
    patience = float(sys.argv[1])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        sys.argv[2:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # where this process is killed
    )

    def watch() -> None:
        while starter_is_alive(patience):
            pass
        end_all(child)

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end_all, args=(child,)).start())
    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    kill_all(child)  # processes that it left running
    sys.stdout.flush()
    os._exit(128 - status if status < 0 else status)


if __name__ == "__main__":
    main()
