"""Run a command in a process group of its own, and end the whole group when its starter is gone.

That is when stdin ends, or brings nothing for as many seconds as the first argument says, 0 for any number. The
other arguments are the command.

Its source is handed to `python -I -S -c` where the script runs, on another host or in a container too: so it
imports nothing but the standard library, of any Python from 3.8 on. It exits as the command did, with 128 + n
where a signal n ended it.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_SECONDS = 5.0  # between asking a group to end and ending it


def end_group(child: "subprocess.Popen[bytes]") -> None:
    """Ask every process of the child's group to end, and make it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def starter_is_there(patience: float) -> bool:
    """Wait for a sign of life on stdin; whether one came."""
    ready = select.select([0], [], [], patience or None)[0]
    return bool(ready) and os.read(0, 4096) != b""


def main() -> None:
    """Run the command that the arguments are."""
    patience = float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        while starter_is_there(patience):
            pass
        end_group(child)

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end_group, args=(child,)).start())
    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what it left running
    sys.stdout.flush()
    os._exit(128 - status if status < 0 else status)


if __name__ == "__main__":
    main()
