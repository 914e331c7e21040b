"""Running the HTTP side of a server in this process."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import uvicorn

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.app import make_app
from cosmos_batch.service.http.coalesce import Protocol
from cosmos_batch.service.settings import Serving
from cosmos_batch.service.state import AppState, ServedEngine

CONNECTIONS = 1024  # at the same time
GRACE_SECONDS = 5  # that open requests get when the server stops


class Server(uvicorn.Server):
    """A server that ends its event streams when it stops, which would go on for ever."""

    def __init__(self, config: uvicorn.Config, service: AppState) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has been asked, and stop."""
        self._service.streams.close()
        await super().shutdown(sockets)


def prepare(
    home: Path, ledger: Ledger, served: ServedEngine, serving: Serving, journal: EventLog | None = None
) -> Server:
    """A server that is ready to run. Raises InputError where it may not, StorageError and LedgerError."""
    if not serving.local and not ApiKeyCache(ledger).in_force:
        raise InputError([_needs_keys(serving.host)])
    service = AppState(home, ledger, served, serving, journal)
    config = uvicorn.Config(
        make_app(service),
        host=serving.host,
        port=serving.port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Protocol,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    gc.freeze()  # what was loaded until here stays: no collection need look through it again
    return Server(config, service)


def listen(serving: Serving) -> socket.socket:
    """The socket that a server listens on. Raises InputError where the address is not to be had."""
    try:
        family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
        return socket.create_server((serving.host, serving.port), family=family, backlog=512)
    except OSError as exc:
        place = f"{serving.host}:{serving.port}"
        remedy = "choose another with --host and --port"
        problem = Problem("", None, "", place, f"cannot be listened on ({exc.strerror or exc})", remedy)
        raise InputError([problem]) from exc


def _needs_keys(host: str) -> Problem:
    message = "is an address that others reach, and there is no API key"
    return Problem("", None, "--host", host, message, "make one with: cosmos-batch keys add HOME NAME")
