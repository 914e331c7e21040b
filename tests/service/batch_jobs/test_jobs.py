"""Batch jobs: every valid line of a file becomes a run, every invalid one a line of the error file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import BatchJobRecord, BatchJobState, Ledger, State
from cosmos_batch.service.app import ServiceApp
from cosmos_batch.service.runs.parse_request import ParsedRun
from cosmos_batch.service.state import AppState
from tests.support.clips import clip
from tests.support.http_server import request


def line(custom_id: str, body: dict[str, Any] | None = None, **fields: Any) -> str:
    record = {"custom_id": custom_id, "method": "POST", "url": "/v1/videos", "body": body or request()}
    return json.dumps(record | fields)


def create(client: TestClient, lines: Sequence[str | bytes], **fields: Any) -> Any:
    """Upload a batch file and create a batch of it."""
    text = b"\n".join(each.encode() if isinstance(each, str) else each for each in lines)
    sent = client.post("/v1/files", files={"file": ("b.jsonl", text)}, data={"purpose": "batch"}).json()
    body = {"input_file_id": sent["id"], "endpoint": "/v1/videos", "completion_window": "24h"}
    return client.post("/v1/batches", json=body | fields)


def state_of(client: TestClient) -> AppState:
    assert isinstance(client.app, ServiceApp)
    return client.app.app_state


def advanced(client: TestClient, batch_id: str) -> dict[str, Any]:
    """Get the batch after a round of the server over its open batches."""
    state_of(client).batch_jobs.advance()
    found: dict[str, Any] = client.get(f"/v1/batches/{batch_id}").json()
    return found


def finish(ledger: Ledger, outcomes: dict[str, State]) -> None:
    """End runs without a worker."""
    for run, state in outcomes.items():
        ledger.runs.set_state([run], state, "ended by the test")


def result_lines(client: TestClient, file_id: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in client.get(f"/v1/files/{file_id}/content").text.splitlines()]


def test_ten_thousand_lines_of_which_most_are_invalid(client: TestClient, ledger: Ledger) -> None:
    bad: tuple[str | bytes, ...] = (
        "not json",
        b"\xff\xfe",
        "[]",
        line("no video", request("nowhere.mp4")),
        line("no endpoint", url="/v1/chat/completions"),
        line("c10"),
        json.dumps({"method": "POST"}),
        "{" * 5000,
        line("no prompt", {"prompt": ""}),
    )
    lines = [line(f"c{n}") if n % 10 == 0 else bad[n % 10 - 1] for n in range(10, 10_010)]
    batch = create(client, lines, metadata={"a": "b"}).json()
    assert (batch["status"], batch["metadata"]) == ("validating", {"a": "b"})
    batch = advanced(client, batch["id"])
    assert batch["status"] == "in_progress"
    assert batch["request_counts"] == {"total": 10_000, "completed": 0, "failed": 9_000}
    assert [each["line"] for each in batch["errors"]["data"]] == [n for n in range(1, 113) if n % 10 != 1]
    assert ledger.queries.states() == {State.QUEUED: 1_000}

    client.post(f"/v1/batches/{batch['id']}/cancel")
    batch = advanced(client, batch["id"])
    assert (batch["status"], batch["request_counts"]["failed"]) == ("cancelled", 10_000)
    errors = result_lines(client, batch["error_file_id"])
    assert [each["response"]["status_code"] for each in errors] == [400] * 9_000 + [200] * 1_000
    assert {each["error"]["code"] for each in errors[9_000:]} == {"cancelled"}


def test_results_are_written_by_outcome(client: TestClient, ledger: Ledger) -> None:
    batch_id = create(client, [line("a"), line("b"), "", line("c"), "oops"]).json()["id"]
    advanced(client, batch_id)
    finish(ledger, {f"{batch_id}-1": State.SUCCEEDED, f"{batch_id}-2": State.BLOCKED})
    assert advanced(client, batch_id)["status"] == "in_progress"
    finish(ledger, {f"{batch_id}-4": State.FAILED})
    batch = advanced(client, batch_id)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 4, "completed": 1, "failed": 3}
    [done] = result_lines(client, batch["output_file_id"])
    assert (done["custom_id"], done["error"], done["response"]["body"]["status"]) == ("a", None, "completed")
    failed = result_lines(client, batch["error_file_id"])
    assert [(each["custom_id"], each["error"]["code"]) for each in failed] == [
        (None, "invalid_value"),
        ("b", "blocked"),
        ("c", "failed"),
    ]


def test_warnings_of_a_line_are_in_its_result(client: TestClient, ledger: Ledger, videos: Path) -> None:
    clip(videos / "long.mp4", frames=6, width=32, height=32)
    asked = request("long.mp4")
    asked["inputs"]["edge"] = "dock.mp4"
    batch_id = create(client, [line("a", asked), line("b")]).json()["id"]
    advanced(client, batch_id)
    finish(ledger, {f"{batch_id}-1": State.SUCCEEDED, f"{batch_id}-2": State.SUCCEEDED})
    results = result_lines(client, advanced(client, batch_id)["output_file_id"])
    warnings = {each["custom_id"]: each["response"]["body"]["warnings"] for each in results}
    assert [warning["field"] for warning in warnings["a"]] == ["inputs.edge"]
    assert "4 of 6 frames of the input video are not used" in warnings["a"][0]["message"]
    assert warnings["b"] == []


def test_lines_submitted_twice_make_no_run_twice(client: TestClient, ledger: Ledger) -> None:
    batch_id = create(client, [line("a"), line("b", request(id="mine"))]).json()["id"]
    advanced(client, batch_id)
    ledger.batch_jobs.change(batch_id, state=BatchJobState.VALIDATING)  # as after a crash before the state was set
    assert advanced(client, batch_id)["status"] == "in_progress"
    assert ledger.queries.states() == {State.QUEUED: 2}
    assert client.get(f"/v1/batches/{batch_id}").json()["errors"] is None


def test_taken_id_fails_only_its_own_line(client: TestClient, ledger: Ledger) -> None:
    client.post("/v1/videos", json=request(id="mine"))
    batch_id = create(client, [line("a"), line("b", request(id="mine")), line("c")]).json()["id"]
    batch = advanced(client, batch_id)
    assert [(each["line"], each["code"]) for each in batch["errors"]["data"]] == [(2, "conflict")]
    assert ledger.queries.states() == {State.QUEUED: 3}


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":"x","inputs":{"video":"file-\\ud800"},"execution_config":{"weights":{"edge":0.5}}}',
        b'{"prompt":"x\\u0000","inputs":{"video":"dock.mp4"},"execution_config":{"weights":{"edge":0.5}}}',
        b'{"prompt":"x","inputs":{"video":"dock.mp4"},"execution_config":{"weights":{"edge":0.5}},"seconds":1e308}',
        b'{"prompt":"x","inputs":{"video":"dock.mp4"},"execution_config":{"weights":{"edge":0.5}},"prompt":"y"}',
        b'{"prompt":"\xe9","inputs":{"video":"dock.mp4"},"execution_config":{"weights":{"edge":0.5}}}',
    ],
)
def test_poisonous_line_fails_alone(client: TestClient, ledger: Ledger, body: bytes) -> None:
    poison = b'{"custom_id":"p","method":"POST","url":"/v1/videos","body":' + body + b"}"
    first = create(client, [line("a"), poison, line("b")]).json()["id"]
    second = create(client, [line("c")]).json()["id"]
    batch = advanced(client, first)
    assert [each["line"] for each in batch["errors"]["data"]] == [2]
    assert batch["errors"]["data"][0]["code"] == "invalid_value"
    assert (batch["status"], advanced(client, second)["status"]) == ("in_progress", "in_progress")
    assert ledger.queries.states() == {State.QUEUED: 3}


def test_unforeseen_error_of_a_line_fails_that_line_alone(
    client: TestClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = state_of(client).runs.parser
    parse = parser.parse

    def parse_all_but_one(body: dict[str, Any], run_id: str) -> ParsedRun:
        if body.get("id") == "odd":
            raise OverflowError("cannot convert float infinity to integer")
        return parse(body, run_id)

    monkeypatch.setattr(parser, "parse", parse_all_but_one)
    batch = advanced(client, create(client, [line("a"), line("b", request(id="odd")), line("c")]).json()["id"])
    assert [(each["line"], each["code"]) for each in batch["errors"]["data"]] == [(2, "internal_error")]
    assert ledger.queries.states() == {State.QUEUED: 2}


@pytest.mark.parametrize("stage", ["_submit_lines", "_finish"])
def test_broken_batch_does_not_stop_the_others(
    client: TestClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    jobs = state_of(client).batch_jobs
    broken, good = (create(client, [line("a")]).json()["id"] for _ in range(2))
    if stage == "_finish":
        jobs.advance()
        finish(ledger, {f"{broken}-1": State.SUCCEEDED, f"{good}-1": State.SUCCEEDED})
    work = getattr(jobs, stage)

    def fail_one(job: BatchJobRecord) -> None:
        if job.id == broken:
            raise KeyError(job.id)
        work(job)

    monkeypatch.setattr(jobs, stage, fail_one)
    with pytest.raises(KeyError):
        jobs.advance()
    expected = "completed" if stage == "_finish" else "in_progress"
    assert client.get(f"/v1/batches/{good}").json()["status"] == expected
    assert advanced(client, good)["status"] == expected  # the broken one is tried again after a while only


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"endpoint": "/v1/embeddings"}, 400), ({"input_file_id": "file-none"}, 404), ({"metadata": {"k": 1}}, 400)],
)
def test_invalid_batch_is_refused(client: TestClient, fields: dict[str, Any], status: int) -> None:
    assert create(client, [line("a")], **fields).status_code == status


def test_file_without_a_valid_line_fails(client: TestClient) -> None:
    batch = advanced(client, create(client, ["x", "y"]).json()["id"])
    assert (batch["status"], batch["output_file_id"]) == ("failed", None)
    assert batch["errors"]["data"][0]["code"] == "no_valid_line"
    assert len(result_lines(client, batch["error_file_id"])) == 2


def test_too_many_lines_fail(make_client: Callable[..., TestClient], ledger: Ledger) -> None:
    client = make_client(batch_lines=2)
    batch = advanced(client, create(client, [line("a"), line("b"), line("c")]).json()["id"])
    assert (batch["status"], batch["errors"]["data"][0]["code"]) == ("failed", "too_many_lines")
    assert State.QUEUED not in ledger.queries.states()


def test_batch_waits_for_room_in_the_queue(make_client: Callable[..., TestClient], ledger: Ledger) -> None:
    client = make_client(queue_runs=2)
    client.post("/v1/videos", json=request(id="r"))
    batch_id = create(client, [line("a"), line("b")]).json()["id"]
    assert advanced(client, batch_id)["status"] == "validating"
    assert ledger.queries.states() == {State.QUEUED: 1}


def test_batches_are_listed_newest_first(client: TestClient) -> None:
    ids = [create(client, [line(f"a{n}")]).json()["id"] for n in range(3)]
    first = client.get("/v1/batches", params={"limit": 2}).json()
    rest = client.get("/v1/batches", params={"after": first["last_id"]}).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert client.get("/v1/batches/none").status_code == 404


def test_ended_batch_is_not_cancelled(client: TestClient) -> None:
    batch_id = advanced(client, create(client, ["x"]).json()["id"])["id"]
    assert client.post(f"/v1/batches/{batch_id}/cancel").status_code == 409


def test_deleted_input_file_fails_the_batch(client: TestClient, ledger: Ledger) -> None:
    record = state_of(client).batch_jobs.get(create(client, [line("a")]).json()["id"])
    ledger.files.delete(record.input_file)
    ledger.batch_jobs.add(replace(record, id="batch_lost", state=BatchJobState.VALIDATING))
    batch = advanced(client, "batch_lost")
    error = batch["errors"]["data"][0]
    assert (batch["status"], error["code"]) == ("failed", "file_lost")
    assert error["message"] == "the input file was deleted"
