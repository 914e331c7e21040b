"""Benchmark of submissions over HTTP while the worker dispatches runs.

A real server on a loopback port, SQLite, and the simulated engine, whose steps take `STEP_SECONDS`. A client has
one connection and sends a submission when the previous one was answered, at which time its run is in the ledger.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service_load import Load, Submit, load, request
from cosmos_batch.media.encode import write_video

STEP_SECONDS = 0.05
BACKLOG = 64  # runs that wait before the first client starts


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """The result of a load on a server."""

    load: Load
    succeeded: int  # runs that the worker finished until the last client ended
    waiting: int  # runs that were still in the queue


def measure_http(clients: int, seconds: float, home: Path) -> ServerLoad:
    """Measure clients that submit for some seconds to a server with this home."""
    home.mkdir()
    video = home / "input.mp4"
    write_video(video, np.full((2, 32, 32, 3), 128, np.uint8), 8.0)
    process = _serve(home)
    try:
        port = _port(process)
        _wait_for_first(port, video)
        found = load(clients, seconds, lambda: _connect(port, video))
        counts = _ask(port, "GET", "/v1/queue")["counts"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close() if process.stdout else None
    return ServerLoad(found, counts.get("succeeded", 0), counts.get("queued", 0))


def _serve(home: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.support.cli_launcher",
        "serve",
        str(home),
        "--port",
        "0",
        "--root",
        str(home),
    ]
    command += ["--rate", "1000000", "--flush-seconds", "1"]
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"REPLAY_STEP": str(STEP_SECONDS)},
        )


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    return int(line.split("http://")[1].split()[0].rpartition(":")[2])


def _connect(port: int, video: Path) -> Submit:
    return _submit_over(http.client.HTTPConnection("127.0.0.1", port), video)


def _submit_over(connection: http.client.HTTPConnection, video: Path) -> Submit:
    def submit(run: dict[str, Any]) -> None:
        body = run | {"inputs": dict.fromkeys(run["inputs"], str(video))}
        connection.request("POST", "/v1/videos", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise SystemExit(f"the server answered {response.status}: {text[:500]!r}")

    return submit


def _wait_for_first(port: int, video: Path) -> None:
    """Submit the backlog, and wait until the worker has finished a run."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        submit = _submit_over(connection, video)
        for count in range(BACKLOG):
            submit(request(-1, count))
    while not _ask(port, "GET", "/v1/queue")["counts"].get("succeeded"):
        time.sleep(0.2)


def _ask(port: int, method: str, path: str) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request(method, path)
        return json.loads(connection.getresponse().read())
