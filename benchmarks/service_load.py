"""Load of several client processes, each of which submits one run after the other."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

WARM_SECONDS = 1.0  # not counted, at the start
Submit = Callable[[dict[str, Any]], object]
"""Submits one job; returns when the queue has stored it."""


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies of the submissions of all clients."""

    seconds: float  # of wall time
    latencies: tuple[float, ...]  # seconds, sorted

    @property
    def rate(self) -> float:
        """Submissions per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency, in seconds, that this share of the submissions did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def load(clients: int, seconds: float, connect: Callable[[], Submit]) -> Load:
    """Run client processes, each connected by `connect`, for some seconds."""
    fork = multiprocessing.get_context("fork")
    pipes = []
    for number in range(clients):
        reader, writer = fork.Pipe()
        fork.Process(target=_client, args=(number, seconds, connect, writer), daemon=True).start()
        pipes.append(reader)
    return Load(seconds, tuple(sorted(latency for pipe in pipes for latency in pipe.recv())))


def _client(number: int, seconds: float, connect: Callable[[], Submit], pipe: Connection) -> None:
    submit = connect()
    latencies = []
    begin, count = time.perf_counter() + WARM_SECONDS, 0
    while (started := time.perf_counter()) < begin + seconds:
        submit(request(number, count))
        if started >= begin:
            latencies.append(time.perf_counter() - started)
        count += 1
    pipe.send(latencies)


MIXES: tuple[dict[str, float], ...] = (
    {"edge": 1.0},
    {"edge": 0.5, "vis": 0.5},
    {"vis": 1.0},
    {"depth": 0.7, "seg": 0.3},
)


def request(client: int, count: int, video: str = "/videos/dock.mp4") -> dict[str, Any]:
    """Make the request that every queue gets."""
    weights = MIXES[count % len(MIXES)]
    config = {"weights": weights, "seed": (client + 1) * 1_000_000 + count}
    inputs = dict.fromkeys(("video", *weights), video)
    return {"prompt": f"client {client}, run {count}", "inputs": inputs, "execution_config": config}
