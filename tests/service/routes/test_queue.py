"""/v1/queue and /v1/plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.batch_keys import resolved_defaults
from cosmos_batch.planning.drafts import DraftModel
from cosmos_batch.planning.plan import Batch, Launch, Plan, plan_to_dict
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run
from cosmos_batch.service.app import ServiceApp
from cosmos_batch.service.schemas.queue import PlanLaunch, PlannedBatch
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.clips import clip
from tests.support.dispatch_world import PRIOR, TRAITS
from tests.support.http_server import request
from tests.support.runs import resolved

_SIZE = {"width": 32, "height": 32}


def test_plan_predicts_the_cost_without_submitting(client: TestClient, ledger: Ledger) -> None:
    plan = client.post("/v1/plan", json={"runs": [request(), request()]}).json()
    assert (plan["runs"], plan["batches"]) == (2, 1)
    assert plan["seconds"] < plan["one_by_one_seconds"]
    assert ledger.queries.states() == {}
    bad = client.post("/v1/plan", json={"runs": [request(), request("gone.mp4")]}).json()
    assert [(each["line"], each["field"]) for each in bad["error"]["problems"]] == [(2, "inputs.video")]


@pytest.mark.parametrize(
    "field",
    [
        {"seconds": True},
        {"priority": True},
        {"priority": 5.0},
        {"id": ".a"},
        {"inputs": 5},
        {"model": 5},
        {"execution_config": {"weights": {"edge": "0.5"}}},
        {"input_reference": {"video": 5}},
        {"promt": "x"},
    ],
)
def test_plan_refuses_what_a_submission_refuses_in_the_same_words(
    client: TestClient, field: dict[str, Any]
) -> None:
    planned = client.post("/v1/plan", json={"runs": [request(), request() | field]})
    submitted = client.post("/v1/videos", json=request() | field)
    assert (planned.status_code, submitted.status_code) == (400, 400)
    problems = [each | {"line": None} for each in planned.json()["error"]["problems"]]
    assert problems == submitted.json()["error"]["problems"]
    assert {each["line"] for each in planned.json()["error"]["problems"]} == {2}


def test_launches_of_a_plan_have_a_type_with_every_field_of_the_plan(client: TestClient) -> None:
    (launch,) = client.post("/v1/plan", json={"runs": [request(id="a"), request(id="b")]}).json()["launches"]
    (batch,) = launch["batches"]
    assert (launch["controls"], batch["runs"], batch["output_sizes"]) == (["edge"], ["a", "b"], [_SIZE])

    edge = (Control(name="edge", weight=1.0),)
    run = resolved(Run(id="a", prompt="p", controls=edge, video="/v"))
    drafts = (Launch(0, ("edge",), (Batch((run,), Shape(32, 32, 5), 1.0, 1),), 1.0, "alone"),)
    made = plan_to_dict(Plan("replay", drafts, 1.0, 1.0, None))["launches"][0]
    assert set(made) == set(PlanLaunch.model_fields)  # a field that the type lacks would be left out of the answer
    assert set(made["batches"][0]) == set(PlannedBatch.model_fields)


def test_plan_offers_cheaper_ways_to_a_first_look(tmp_path: Path, videos: Path, ledger: Ledger) -> None:
    model = DraftModel("a quick model", "some/model", TRAITS)
    engine = ServedEngine("pocket", replace(TRAITS, draft_steps=2), PRIOR, (model,))
    state = AppState(tmp_path / "home", ledger, engine, ServerSettings(roots=(videos,)))
    body = request() | {"execution_config": {"weights": {"edge": 1.0}, "num_steps": 200}}
    with TestClient(ServiceApp(state), base_url="http://127.0.0.1:8000") as client:
        plan = client.post("/v1/plan", json={"runs": [body]}).json()
    offers = [(draft["what"], draft["model"], draft["runs"]) for draft in plan["drafts"]]
    steps = resolved_defaults(TRAITS).num_steps
    assert offers == [("2 steps", None, 1), (f"{steps} steps with a quick model", "some/model", 1)]
    assert all(0 < draft["seconds"] < draft["in_place_of"] for draft in plan["drafts"])


def test_plan_lists_the_warnings_of_each_run(client: TestClient, videos: Path) -> None:
    clip(videos / "long.mp4", frames=6, width=32, height=32)
    misfit = request("long.mp4")
    misfit["inputs"]["edge"] = "dock.mp4"
    plan = client.post("/v1/plan", json={"runs": [request(), misfit]}).json()
    (warning,) = plan["warnings"]
    assert set(warning) == {"line", "field", "found", "message", "remedy"}
    assert (warning["line"], warning["field"], warning["found"]) == (2, "inputs.edge", '"dock.mp4"')
    assert "4 of 6 frames of the input video are not used" in warning["message"]
    assert plan["runs"] == 2


def test_queue_is_paused_drained_and_resumed(client: TestClient) -> None:
    client.post("/v1/videos", json=request(id="r"))
    assert client.post("/v1/queue/pause").json()["mode"] == "paused"
    reason = client.get("/v1/videos/r").json()["reason"]
    assert reason.startswith("the queue is paused: it resumes when you say so; next; ")
    paused = client.get("/v1/queue").json()
    assert (paused["trouble"], [group["runs_total"] for group in paused["groups"]]) == (None, [1])
    assert paused["seconds"] > 0
    assert client.get("/healthz").json()["status"] == "ok"
    plan = client.post("/v1/plan", json={"runs": [request()]}).json()
    assert plan["waits_for"] == "the queue is paused: it resumes when you say so"
    assert client.post("/v1/queue/drain").json()["mode"] == "draining"
    assert client.get("/healthz").json()["status"] == "ok"
    queue = client.post("/v1/queue/resume").json()
    assert client.get("/healthz").json()["status"] == "degraded"
    assert client.post("/v1/plan", json={"runs": [request()]}).json()["waits_for"] == "no worker is alive"
    assert (queue["mode"], queue["counts"], queue["trouble"]) == ("running", {"queued": 1}, "no worker is alive")
