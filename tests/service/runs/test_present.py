"""What is told of a run at work, and how answers leave the server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import Attempt, BatchFacts, Ledger
from cosmos_batch.planning.traits import Shape
from cosmos_batch.service.http.coalesce import Joining
from cosmos_batch.service.runs.present import eta_seconds
from tests.service.conftest import request


@pytest.mark.parametrize(
    ("step", "spent", "left"),
    [
        (0, 4.0, 6.0),  # as predicted, before its first step
        (0, 10.5, None),  # the prediction was too short, so nobody knows
        (5, 20.0, 15 * 4.0),  # then at its own pace
        (20, 20.0, 0.0),
    ],
)
def test_how_long_a_run_still_takes(
    client: TestClient, ledger: Ledger, step: int, spent: float, left: float | None
) -> None:
    client.post("/v1/videos", json=request(id="r"))
    claim = ledger.queue.claim(["r"], BatchFacts("replay", Shape(32, 32, 2), 10.0, 0), "w", 60)
    look = ledger.queries.get_run("r")
    assert claim is not None
    assert look is not None
    assert look.attempt is not None
    attempt: Attempt = replace(look.attempt, started=100.0, step=step, steps=20 if step else 0)
    assert eta_seconds(look.record, attempt, now=100.0 + spent) == left


class Wire:
    """A transport that remembers its packets."""

    def __init__(self) -> None:
        self.packets: list[Any] = []

    def write(self, data: bytes) -> None:
        """Send a packet."""
        self.packets.append(data)

    def close(self) -> None:
        """Send the end."""
        self.packets.append("closed")

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return "closed" in self.packets


def test_what_is_written_in_one_turn_leaves_together() -> None:
    wire: Any = Wire()

    async def write() -> None:
        joining = Joining(wire)
        joining.write(b"head")
        joining.write(b"body")
        await asyncio.sleep(0)
        joining.write(b"x" * 65536)  # large pieces do not wait
        joining.write(b"last")
        joining.close()
        assert joining.is_closing()
        await asyncio.sleep(0)

    asyncio.run(write())
    assert wire.packets == [b"headbody", b"x" * 65536, b"last", "closed"]
