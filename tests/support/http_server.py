"""Requests for videos, and a real server as a process on a loopback port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 60.0  # seconds until what must happen counts as missing


def request(name: str = "dock.mp4", **fields: Any) -> dict[str, Any]:
    """Make the body of a request for a video of a file in a root."""
    body: dict[str, Any] = {
        "prompt": "a dock",
        "inputs": {"video": name},
        "execution_config": {"weights": {"edge": 1.0}},
    }
    return body | fields


@contextmanager
def server(
    home: Path, *options: str, launcher: str = "tests.support.cli_launcher", **environment: str
) -> Iterator[str]:
    """Run a server with the simulated engine of a launcher on a free port; yields its address."""
    command = [sys.executable, "-m", launcher, "serve", str(home), "--port", "0", *options]
    with (home.parent / f"{home.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | environment
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, (home.parent / f"{home.name}.log").read_text())
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        process.stdout.close()


def until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Read again until the value satisfies `holds`; return it."""
    deadline = time.monotonic() + PATIENCE
    while not holds(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def events_of(address: str, query: str = "") -> Iterator[dict[str, str]]:
    """Read the events of a server, each as a dict of its fields."""
    with httpx.stream("GET", f"{address}/v1/events{query}", timeout=PATIENCE) as response:
        event: dict[str, str] = {}
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "event" in event:
                yield event
                event = {}
