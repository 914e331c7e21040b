"""Settings of a server: address, folders that requests may name, limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the requests of one client."""

    body_bytes: int = 4 * MIB  # of a JSON request
    upload_bytes: int = 2048 * MIB  # of a request that carries files
    batch_lines: int = 50_000  # of a batch file, as at OpenAI
    queue_runs: int = 200_000  # runs that may wait
    requests_per_second: float = 1000.0  # of one address
    burst: int = 2000  # requests that may come at once
    stall_seconds: float = 20.0  # without a byte of the request's body
    body_seconds: float = 30.0  # for the whole body, plus the time that `least_rate` allows for its bytes
    least_rate: int = 64 * 1024  # bytes per second that a large body must reach
    streams: int = 64  # event streams at the same time
    plan_runs: int = 1000  # runs of one plan request


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The address of a server, and the folders that it reads."""

    host: str = "127.0.0.1"
    port: int = 8000
    roots: tuple[Path, ...] = ()  # folders whose files may be named as inputs
    limits: Limits = field(default_factory=Limits)
    flush_seconds: float = 20.0  # of the workers: the longest time that a run waits for others to batch with

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is a loopback address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
