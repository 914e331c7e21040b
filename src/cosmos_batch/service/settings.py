"""What whoever starts a server may choose about its HTTP side."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask of the server."""

    body_bytes: int = 4 * MIB  # of a JSON request
    upload_bytes: int = 2048 * MIB  # of a request that carries files
    batch_lines: int = 50_000  # of a batch file, as at OpenAI
    queue_runs: int = 200_000  # runs that may wait
    requests_per_second: float = 1000.0  # of one key, or of one address where there are no keys
    burst: int = 2000  # requests that may come at once
    stall_seconds: float = 20.0  # without a byte of the request's body
    body_seconds: float = 30.0  # for the body, beside what `least_rate` gives it
    least_rate: int = 64 * 1024  # bytes per second that a large body must reach
    streams: int = 64  # event streams at the same time
    plan_runs: int = 1000  # runs of one plan request


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where a server listens, and what it may read."""

    host: str = "127.0.0.1"
    port: int = 8000
    roots: tuple[Path, ...] = ()  # folders whose files may be named as inputs, links resolved
    limits: Limits = field(default_factory=Limits)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a name or address stands for this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
