"""Large, slow and many requests are refused; answers are clear; a broken ledger or disk is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from cosmos_batch.service.http.body_limits import BodyLimits
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.rate_limit import RateLimiter
from cosmos_batch.service.settings import Limits
from tests.service.conftest import request


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, then says how long it was."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def answered(chunks: Iterable[bytes], limits: Limits, *, stalls: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to a chunked body; one that `stalls` never ends."""
    parts = iter(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        part = next(parts, None)
        if part is None and stalls:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/v1/videos", "headers": []}
    asyncio.run(BodyLimits(_echo, limits)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_a_body_within_bounds_passes() -> None:
    assert answered([b"ab", b"c"], Limits(body_bytes=3)) == (200, b"3")


def test_a_body_that_grows_too_large_is_refused_while_it_comes() -> None:
    status, body = answered([b"abc"] * 100, Limits(body_bytes=10))
    assert status == 413
    assert "larger than the limit of 10 bytes" in json.loads(body)["error"]["message"]


def test_a_body_that_stalls_is_refused() -> None:
    status, body = answered([b"ab"], Limits(stall_seconds=0.01), stalls=True)
    assert status == 408
    assert "too slowly: 2 bytes so far" in json.loads(body)["error"]["message"]


def test_a_body_that_trickles_is_refused() -> None:
    def drops() -> Iterable[bytes]:
        while True:
            yield b"x"

    limits = Limits(body_seconds=0.05, least_rate=10**9, body_bytes=10**9)
    assert answered(drops(), limits)[0] == 408


def test_large_requests_are_refused_before_they_are_read(make_client: Callable[..., TestClient]) -> None:
    client = make_client(body_bytes=100, upload_bytes=2000)
    answer = client.post("/v1/videos", json=request(prompt="x" * 100))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert client.post("/v1/files", files={"file": b"x" * 3000}).status_code == 413
    assert client.post("/v1/batches", files={"file": b"x" * 300}).status_code == 413


def test_a_client_that_asks_too_often_has_to_wait() -> None:
    now = [0.0]
    rates = RateLimiter(2.0, 3, lambda: now[0])
    for _ in range(3):
        rates.spend("a")
    with pytest.raises(ApiError, match=r"ask again in 0\.50 s") as refused:
        rates.spend("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    rates.spend("b")
    now[0] += 0.5
    rates.spend("a")


def test_too_many_requests_are_answered_429(make_client: Callable[..., TestClient]) -> None:
    client = make_client(requests_per_second=0.001, burst=2)
    assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/healthz").status_code == 200


def test_a_ledger_that_is_gone_is_said(client: TestClient, tmp_path: Any) -> None:
    for path in (tmp_path / "home").glob("ledger.sqlite*"):
        path.write_bytes(b"not a database, but something else entirely")
    answer = client.get("/v1/videos")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert "ledger" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"]
    assert client.get("/healthz").status_code == 503


def test_an_upload_folder_that_is_gone_is_said(client: TestClient, tmp_path: Any) -> None:
    (tmp_path / "home" / "uploads").rmdir()
    answer = client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"})
    assert answer.status_code == 503
    assert "is gone; put it back" in answer.json()["error"]["message"]
