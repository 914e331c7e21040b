"""/healthz and the other routes about the server."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import make_key


def test_detail_of_health_needs_a_key(ledger: Ledger, make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    assert client.get("/healthz").json() == {"status": "degraded", "detail": "no worker is alive"}
    make_key(ledger, "alice")
    assert make_client().get("/healthz").json() == {"status": "degraded", "detail": ""}
