"""A service over a ledger and a folder of its own, in this process or as a real server on a loopback port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.app import make_app
from cosmos_batch.service.settings import Limits, ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.dispatch_world import PRIOR, TRAITS, make_input

PATIENCE = 60.0  # seconds for which a test waits for something that must come


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with one small video in it: dock.mp4."""
    folder = tmp_path / "videos"
    folder.mkdir()
    make_input(folder / "dock.mp4")
    return folder


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger with nothing in it, made once."""
    path = tmp_path_factory.mktemp("ledger") / "empty.sqlite"
    Ledger(path).close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, empty_ledger: Path) -> Iterator[Ledger]:
    home = ServiceHome(tmp_path / "home")
    home.make()
    shutil.copy(empty_ledger, home.ledger)
    ledger = Ledger(home.ledger)
    yield ledger
    ledger.close()


@pytest.fixture
def make_client(tmp_path: Path, videos: Path, ledger: Ledger) -> Iterator[Callable[..., TestClient]]:
    """A client of a service without workers; the arguments are its limits."""
    opened: list[TestClient] = []

    def make(**limits: Any) -> TestClient:
        settings = ServerSettings(roots=(videos,), limits=Limits(**limits))
        log = EventLog(sys.stderr)
        state = AppState(tmp_path / "home", ledger, ServedEngine("pocket", TRAITS, PRIOR), settings, log)
        client = TestClient(make_app(state), base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """A client of a service with the limits that it has unless others are chosen."""
    return make_client()


def request(name: str = "dock.mp4", **fields: Any) -> dict[str, Any]:
    """What asks for a video of a file in a root."""
    wanted = {"prompt": "a dock", "inputs": {"video": name}, "execution_config": {"weights": {"edge": 1.0}}}
    return wanted | fields


@contextmanager
def server(home: Path, *options: str, **environment: str) -> Iterator[str]:
    """A real server with the replay engine, on a free port; gives its address."""
    command = [sys.executable, "-m", "tests.support.cli_launcher", "serve", str(home), "--port", "0", *options]
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


def until(ask: Callable[[], Any], right: Callable[[Any], bool]) -> Any:
    """What is asked for, as soon as it is right."""
    deadline = time.monotonic() + PATIENCE
    while not right(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def events_of(address: str, query: str = "") -> Iterator[dict[str, str]]:
    """The events of a server, as their fields."""
    with httpx.stream("GET", f"{address}/v1/events{query}", timeout=PATIENCE) as response:
        event: dict[str, str] = {}
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "event" in event:
                yield event
                event = {}
