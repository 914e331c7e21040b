"""Run a command in its own process group, and end the whole group when the process that started it is gone.

The starter counts as gone when stdin ends, or brings no byte for the seconds of the first argument (0: no limit).
The other arguments are the command.

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
from contextlib import suppress

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL


def end_group(child: "subprocess.Popen[bytes]") -> None:
    """End every process of the child's group: SIGTERM, then SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def starter_is_alive(patience: float) -> bool:
    """Wait for a byte on stdin. Returns whether one came."""
    ready = select.select([0], [], [], patience or None)[0]
    return bool(ready) and os.read(0, 4096) != b""


def main() -> None:
    """Run the command of the arguments."""
    patience = float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        while starter_is_alive(patience):
            pass
        end_group(child)

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end_group, args=(child,)).start())
    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # processes that it left running
    sys.stdout.flush()
    os._exit(128 - status if status < 0 else status)


if __name__ == "__main__":
    main()
