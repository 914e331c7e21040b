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
    read_seconds: float = 60.0  # in which a client takes `read_bytes` of a response, or all that is left of it
    read_bytes: int = 16 * 1024
    connections: int = 1024  # open at the same time, where the process may open that many files
    connections_per_address: int = 512  # of one address, half of `connections` at most
    head_bytes: int = 32 * 1024  # of a request's first line and headers
    head_seconds: float = 10.0  # until the head of a request is complete, from the connection on
    pipelined: int = 64  # requests of one connection that wait for the response to another
    streams: int = 64  # event streams at the same time
    plan_runs: int = 1000  # runs of one plan request


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The address of a server, and the folders that it reads."""

    host: str = "127.0.0.1"
    port: int = 8000
    proxies: tuple[str, ...] = ()  # addresses or networks of proxies, whose `X-Forwarded-For` counts
    roots: tuple[Path, ...] = ()  # folders whose files may be named as inputs
    limits: Limits = field(default_factory=Limits)
    flush_seconds: float = 20.0  # of the workers: the longest time that a run waits for others to batch with
    flush_runs: int = 32  # of the workers: waiting runs that are batched at once
    prediction: bool = True  # whether runs to come are predicted, and the workers' rules set by that

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server: on a loopback address, with no proxy in front."""
        return is_loopback(self.host) and not self.proxies


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is a loopback address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
