"""Clients that submit one run after the other, each in a process of its own, and what they saw."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

WARM_SECONDS = 1.0  # before anything is counted
Submit = Callable[[dict[str, Any]], object]
"""Hands one job over, and returns when the queue has it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What clients saw who submitted one job after the other."""

    seconds: float  # of wall time
    latencies: tuple[float, ...]  # seconds, sorted

    @property
    def rate(self) -> float:
        """Submissions per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that this share of the submissions stayed within."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def load(clients: int, seconds: float, connect: Callable[[], Submit]) -> Load:
    """Let so many processes, each connected by `connect`, submit for so long."""
    fork = multiprocessing.get_context("fork")
    pipes = []
    for number in range(clients):
        ours, theirs = fork.Pipe()
        fork.Process(target=_client, args=(number, seconds, connect, theirs), daemon=True).start()
        pipes.append(ours)
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
    """What is submitted, everywhere."""
    weights = MIXES[count % len(MIXES)]
    config = {"weights": weights, "seed": (client + 1) * 1_000_000 + count}
    inputs = dict.fromkeys(("video", *weights), video)
    return {"prompt": f"client {client}, run {count}", "inputs": inputs, "execution_config": config}
