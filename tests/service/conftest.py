"""A service in this process, with a ledger and a folder of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.app import ServiceApp
from cosmos_batch.service.settings import Limits, ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.dispatch_world import PRIOR, TRAITS, make_input


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with one small video: dock.mp4."""
    folder = tmp_path / "videos"
    folder.mkdir()
    make_input(folder / "dock.mp4")
    return folder


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
    """Make a client of a service without workers; the arguments are its limits."""
    opened: list[TestClient] = []

    def make(**limits: Any) -> TestClient:
        settings = ServerSettings(roots=(videos,), limits=Limits(**limits))
        log = EventLog(sys.stderr)
        state = AppState(tmp_path / "home", ledger, ServedEngine("pocket", TRAITS, PRIOR), settings, log)
        client = TestClient(ServiceApp(state), base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """A client of a service with the default limits."""
    return make_client()
