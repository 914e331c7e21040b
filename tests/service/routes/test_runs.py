"""/v1/runs: outlines, look-ups, actions on many runs, and exports."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import BatchFacts, Ledger, State
from cosmos_batch.planning.traits import Shape
from tests.support.http_server import request

PROMPTS = {"a": "rain", "b": "fog", "c": "rain"}


@pytest.fixture
def three(client: TestClient, ledger: Ledger) -> TestClient:
    """A client of a service with runs "a" and "b", which wait, and "c", which was cancelled."""
    for name, prompt in PROMPTS.items():
        labels = {"sweep": "weather", "tags": {"light": "day" if name == "a" else "night"}}
        client.post("/v1/videos", json=request(id=name, prompt=prompt, **labels)).raise_for_status()
    client.post("/v1/videos/c/cancel").raise_for_status()
    ledger.runs.set_scores({"a": {"edge_f1": 0.25}, "b": {"edge_f1": 0.75}})
    ledger.runs.rate(["b"], 4)
    return client


def outline(client: TestClient, **query: Any) -> Any:
    """Return the outline that a query gives."""
    return client.get("/v1/runs/outline", params=query).raise_for_status().json()


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["c", "b", "a"]),
        ({"sort": "edge_f1"}, ["b", "a", "c"]),  # a run without the score is last
        ({"sort": "edge_f1", "order": "asc"}, ["a", "b", "c"]),
        ({"score": "edge_f1<0.5"}, ["a"]),
        ({"rating": 0}, ["c", "a"]),
        ({"tag": "light:night"}, ["c", "b"]),
        ({"state": "queued", "q": "rain"}, ["a"]),
        ({"group_by": "prompt"}, ["b", "c", "a"]),
        ({"group_by": "tag:light"}, ["a", "c", "b"]),
    ],
)
def test_outline_has_the_order_of_the_list(three: TestClient, query: dict[str, Any], ids: list[str]) -> None:
    assert outline(three, **query)["ids"] == ids


def test_outline_has_what_a_row_of_a_matrix_needs(three: TestClient) -> None:
    found = outline(three, group_by="video", columns="prompt", sort="edge_f1")
    assert found["groups"] == [{"value": found["groups"][0]["value"], "label": "dock.mp4", "runs": 3}]
    assert [column["label"] for column in found["columns"]] == ["fog", "rain"]
    assert (found["ids"], found["cells"]) == (["b", "a", "c"], [0, 1, 1])
    assert (found["scores"], found["ratings"]) == ([0.75, 0.25, None], [4, None, None])
    assert found["counts"] == {"queued": 2, "cancelled": 1}


def test_outline_says_that_more_runs_pass(three: TestClient) -> None:
    assert [outline(three, limit=limit)["has_more"] for limit in (2, 3)] == [True, False]


def test_outline_groups_by_seed(three: TestClient) -> None:
    assert [group["runs"] for group in outline(three, group_by="seed")["groups"]] == [3]


def test_an_unknown_grouping_is_refused(three: TestClient) -> None:
    answer = three.get("/v1/runs/outline", params={"group_by": "colour"})
    assert (answer.status_code, "group_by" in answer.text) == (400, True)


def test_labels_are_counted(three: TestClient) -> None:
    found = three.get("/v1/runs/labels").json()
    assert (found["sweeps"], found["tags"]) == ({"weather": 3}, {"light": {"day": 1, "night": 2}})


def test_histogram_of_a_score(three: TestClient) -> None:
    found = three.get("/v1/runs/histogram", params={"of": "edge_f1", "bins": 2}).json()
    assert (found["start"], found["end"], found["counts"]) == (0.25, 0.75, [1, 1])


def test_look_up_keeps_the_order_and_leaves_out_the_unknown(three: TestClient) -> None:
    found = three.post("/v1/runs/lookup", json={"ids": ["c", "nowhere", "a", "c"]}).json()["data"]
    assert [video["id"] for video in found] == ["c", "a"]
    assert found[0]["names"] == {"video": "dock.mp4"}


def test_an_upload_is_shown_by_the_name_that_its_client_gave(client: TestClient, videos: Path) -> None:
    sent = {"input_reference": ("harbour at dawn.mp4", (videos / "dock.mp4").read_bytes())}
    fields = {"prompt": "a dock", "execution_config[weights][edge]": "1"}
    made = client.post("/v1/videos", data=fields, files=sent).json()
    assert made["names"] == {"video": "harbour at dawn.mp4"}
    assert outline(client, group_by="video")["groups"][0]["label"] == "harbour at dawn.mp4"


def bulk(client: TestClient, action: str, *ids: str, **fields: Any) -> dict[str, Any]:
    """Do an action to runs; returns what became of each: True, or the reason."""
    body = {"action": action, "ids": ids} | fields
    answer = client.post("/v1/runs/bulk", json=body).raise_for_status().json()
    found = {each["id"]: True if each["done"] else each["reason"] for each in answer["data"]}
    assert answer["done"] == list(found.values()).count(True)
    return found


def test_every_run_of_a_bulk_action_has_its_outcome(three: TestClient, ledger: Ledger) -> None:
    # given a run that is being published: it is neither waiting nor ended
    claim = ledger.queue.claim(["b"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "w", 60)
    assert claim is not None
    ledger.attempts.begin(["b"])
    ledger.attempts.start_publication(claim.attempts["b"], 60)

    published = "its steps are done, and its video is being published"
    unknown = "there is no video 'x'"
    assert bulk(three, "cancel", "a", "b", "c", "x", "a") == {"a": True, "b": published, "c": True, "x": unknown}
    assert bulk(three, "retry", "a", "b", "x") == {
        "a": True,
        "b": "only a failed, blocked or cancelled video can be retried",
        "x": unknown,
    }
    assert bulk(three, "rate", "a", "c", "x", rating=5) == {"a": True, "c": True, "x": unknown}
    assert [three.get(f"/v1/videos/{name}").json()["rating"] for name in "abc"] == [5, 4, 5]
    assert bulk(three, "rate", "c", rating=None) == {"c": True}
    assert bulk(three, "priority", "a", "c", priority="high") == {"a": True, "c": "it has already ended"}
    first = "cancel it first, by POST /v1/videos/{}/cancel"
    assert bulk(three, "delete", *"abcx") == {
        "a": first.format("a"),
        "b": first.format("b"),
        "c": True,
        "x": unknown,
    }
    assert ledger.queries.states() == {State.QUEUED: 1, State.RUNNING: 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"action": "rate", "ids": ["a"]}, "lacks the field 'rating'"),
        ({"action": "retry", "ids": ["a"], "rating": 5}, "does not take the field 'rating'"),
        ({"action": "priority", "ids": ["a"], "priority": None}, "the field 'priority' is null"),
        ({"action": "rate", "ids": ["a"], "rating": 6}, "rating"),
        ({"action": "cancel", "ids": []}, "ids"),
    ],
)
def test_a_bulk_action_takes_its_own_fields_alone(three: TestClient, body: Any, message: str) -> None:
    answer = three.post("/v1/runs/bulk", json=body)
    assert (answer.status_code, message in answer.text) == (400, True), answer.text


def export(client: TestClient, kind: str, *ids: str) -> bytes:
    """Download an export of runs."""
    made = client.post("/v1/runs/exports", json={"ids": ids, "format": kind}).raise_for_status().json()
    answer = client.get(made["url"]).raise_for_status()
    assert answer.headers["content-disposition"] == f'attachment; filename="runs.{kind}"'
    return answer.content


def test_a_table_has_a_row_for_each_run(three: TestClient, videos: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(export(three, "csv", "b", "c", "x").decode())))
    assert [row["id"] for row in rows] == ["b", "c"]
    first = rows[0]
    assert (first["rating"], first["edge_f1"], first["tags"]) == ("4", "0.75", '{"light": "night"}')
    assert (first["sweep"], first["prompt"], first["video"]) == ("weather", "fog", str(videos / "dock.mp4"))
    assert (first["video_name"], first["edge_weight"], first["num_steps"]) == ("dock.mp4", "1.0", "4")
    assert (rows[1]["state"], rows[1]["cause"]) == ("cancelled", "cancelled")


def test_an_export_of_no_run_has_the_head_of_the_table(client: TestClient) -> None:
    assert export(client, "csv", "x").decode().startswith("id,state,cause,")
    assert export(client, "jsonl", "x") == b""


def test_an_archive_has_the_files_and_the_tables(three: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "videos" / "a"
    folder.mkdir(parents=True)
    (folder / "output.mp4").write_bytes(b"film" * 1000)
    archive = zipfile.ZipFile(io.BytesIO(export(three, "zip", "a", "b")))
    assert archive.testzip() is None
    assert archive.namelist() == ["runs.csv", "runs.jsonl", "a/output.mp4"]
    assert archive.read("a/output.mp4") == b"film" * 1000
    videos = [json.loads(line) for line in archive.read("runs.jsonl").splitlines()]
    assert [video["id"] for video in videos] == ["a", "b"]


def test_an_unknown_export_is_not_found(client: TestClient) -> None:
    answer = client.get("/v1/runs/exports/export_1")
    assert (answer.status_code, "ask for it again" in answer.text) == (404, True)
