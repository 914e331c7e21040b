"""The HTTP server of this process: uvicorn and its socket."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.app import ServiceApp
from cosmos_batch.service.http.connections import OpenConnections, TrustedProxies, bounded_protocol
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine

GRACE_SECONDS = 5  # that open requests get when the server stops


class Server(uvicorn.Server):
    """uvicorn's server; ends event streams and previews when it stops, since uvicorn would wait for their end."""

    def __init__(self, config: uvicorn.Config, state: AppState) -> None:
        super().__init__(config)
        self._streams = state.monitoring.streams
        self._previews = state.files.previews

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the open requests, then stop."""
        self._streams.close()
        self._previews.close()
        await super().shutdown(sockets)


def prepare(
    home: Path, ledger: Ledger, engine: ServedEngine, settings: ServerSettings, log: EventLog | None = None
) -> Server:
    """Make a server that is ready to run.

    Raises InputError for an address that needs API keys while none is valid, StorageError and LedgerError.
    """
    proxies = TrustedProxies(settings.proxies)
    if not settings.local and not ApiKeyCache(ledger).names:
        raise InputError([_needs_keys(settings)])
    state = AppState(home, ledger, engine, settings, log)
    config = uvicorn.Config(
        ServiceApp(state),
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(OpenConnections(settings.limits, proxies)),
        ws="none",
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=[str(network) for network in proxies.networks],
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config, state)


def listen(settings: ServerSettings) -> socket.socket:
    """Open the socket of a server. Raises InputError where the address cannot be used."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as exc:
        address = f"{settings.host}:{settings.port}"
        remedy = "choose another with --host and --port"
        problem = Problem("", None, "", address, f"cannot be listened on ({exc.strerror or exc})", remedy)
        raise InputError([problem]) from exc


def _needs_keys(settings: ServerSettings) -> Problem:
    field, found = ("--proxy", settings.proxies[0]) if settings.proxies else ("--host", settings.host)
    message = "lets other machines reach the server, and there is no valid API key"
    return Problem("", None, field, found, message, "make one with: cosmos-batch keys add HOME NAME")
