"""Presentation of runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import Attempt, BatchFacts, Ledger
from cosmos_batch.planning.traits import Shape
from cosmos_batch.service.runs.present import eta_seconds
from tests.support.http_server import request


@pytest.mark.parametrize(
    ("step", "spent", "left"),
    [
        (0, 4.0, 6.0),  # as predicted, before its first step
        (0, 10.5, None),  # the prediction has passed: not known
        (5, 20.0, 15 * 4.0),  # by its own steps
        (20, 20.0, None),  # its output is being written
    ],
)
def test_eta_of_a_running_run(
    client: TestClient, ledger: Ledger, step: int, spent: float, left: float | None
) -> None:
    client.post("/v1/videos", json=request(id="r"))
    claim = ledger.queue.claim(["r"], BatchFacts("replay", Shape(32, 32, 2), 10.0, 0), "w", 60)
    found = ledger.queries.get_run("r")
    assert claim is not None
    assert found is not None
    assert found.attempt is not None
    attempt: Attempt = replace(found.attempt, started=100.0, step=step, steps=20 if step else 0)
    assert eta_seconds(found.record, attempt, now=100.0 + spent) == left
