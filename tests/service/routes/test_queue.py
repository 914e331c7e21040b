"""/v1/queue and /v1/plan."""

from __future__ import annotations

from starlette.testclient import TestClient

from cosmos_batch.ledger import Ledger
from tests.support.http_server import request


def test_plan_predicts_the_cost_without_submitting(client: TestClient, ledger: Ledger) -> None:
    plan = client.post("/v1/plan", json={"runs": [request(), request()]}).json()
    assert (plan["runs"], plan["batches"]) == (2, 1)
    assert plan["seconds"] < plan["one_by_one_seconds"]
    assert ledger.queries.states() == {}
    bad = client.post("/v1/plan", json={"runs": [request(), request("gone.mp4")]}).json()
    assert [(each["line"], each["field"]) for each in bad["error"]["problems"]] == [(2, "inputs.video")]


def test_queue_is_paused_drained_and_resumed(client: TestClient) -> None:
    client.post("/v1/videos", json=request(id="r"))
    assert client.post("/v1/queue/pause").json()["mode"] == "paused"
    assert client.get("/v1/videos/r").json()["reason"] == "the queue is paused"
    assert client.post("/v1/queue/drain").json()["mode"] == "draining"
    queue = client.post("/v1/queue/resume").json()
    assert (queue["mode"], queue["counts"], queue["trouble"]) == ("running", {"queued": 1}, "no worker is alive")
