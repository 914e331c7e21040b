"""A server in this process, with real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.ledger import Ledger
from cosmos_batch.service.server import listen, prepare
from cosmos_batch.service.settings import Limits, ServerSettings
from cosmos_batch.service.state import ServedEngine
from tests.support.dispatch_world import PRIOR, TRAITS

ADDRESS = "127.0.0.1"

Connect = Callable[[], socket.socket]
Start = Callable[..., Connect]


@contextmanager
def serving(home: Path, ledger: Ledger, settings: ServerSettings) -> Iterator[int]:
    """Run a server in a thread; yields its port."""
    server = prepare(home, ledger, ServedEngine("pocket", TRAITS, PRIOR), settings)
    with listen(settings) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def start(tmp_path: Path, ledger: Ledger) -> Iterator[Start]:
    """Start a server with limits; returns a function that connects to it."""
    with ExitStack() as stack:

        def begin(proxies: tuple[str, ...] = (), **limits: Any) -> Connect:
            settings = ServerSettings(host=ADDRESS, port=0, proxies=proxies, limits=Limits(**limits))
            port = stack.enter_context(serving(tmp_path / "home", ledger, settings))
            return lambda: stack.enter_context(socket.create_connection((ADDRESS, port), timeout=30))

        yield begin
