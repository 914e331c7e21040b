"""Limits on the encoding, the size and the speed of request bodies."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from cosmos_batch.service.http.body_limits import BodyLimits
from cosmos_batch.service.settings import Limits
from tests.support.http_server import request


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def respond(chunks: Iterable[bytes], limits: Limits, *, stalls: bool = False) -> tuple[int, bytes]:
    """Status and body of the response to a chunked body, which never ends if it `stalls`."""
    parts = iter(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        part = next(parts, None)
        if part is None and stalls:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"transfer-encoding", b"chunked")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/v1/videos", "headers": headers}
    asyncio.run(BodyLimits(_echo, limits)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_body_within_the_limit_passes() -> None:
    assert respond([b"ab", b"c"], Limits(body_bytes=3)) == (200, b"3")


def test_too_large_body_is_refused_while_it_is_received() -> None:
    status, body = respond([b"abc"] * 100, Limits(body_bytes=10))
    assert status == 413
    assert "larger than the limit of 10 bytes" in json.loads(body)["error"]["message"]


def test_stalling_body_is_refused() -> None:
    status, body = respond([b"ab"], Limits(stall_seconds=0.01), stalls=True)
    assert status == 408
    assert "too slowly: 2 bytes so far" in json.loads(body)["error"]["message"]


def test_slow_body_is_refused() -> None:
    def drops() -> Iterable[bytes]:
        while True:
            yield b"x"

    limits = Limits(body_seconds=0.05, least_rate=10**9, body_bytes=10**9)
    assert respond(drops(), limits)[0] == 408


def test_request_without_a_body_is_never_too_slow() -> None:
    sent: list[Message] = []

    async def respond_late(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)  # longer than a body may take
        await _echo(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/v1/videos/r/content", "headers": []}
    limits = Limits(body_seconds=0.01, stall_seconds=0.01)
    asyncio.run(BodyLimits(respond_late, limits)(scope, receive, send))
    assert sent[0]["status"] == 200


def test_too_large_content_length_is_refused_before_the_body(make_client: Callable[..., TestClient]) -> None:
    client = make_client(body_bytes=100, upload_bytes=2000)
    response = client.post("/v1/videos", json=request(prompt="x" * 100))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert client.post("/v1/files", files={"file": b"x" * 3000}).status_code == 413
    assert client.post("/v1/batches", files={"file": b"x" * 300}).status_code == 413


@pytest.mark.parametrize("path", ["/v1/videos", "/v1/files", "/v1/batches"])
def test_compressed_body_is_refused_by_name(client: TestClient, path: str) -> None:
    body = gzip.compress(json.dumps(request()).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = client.post(path, content=body, headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    message = "the content encoding 'gzip' is not supported; send the body uncompressed"
    assert response.json()["error"]["message"] == message


def test_body_may_say_that_it_is_not_compressed(client: TestClient) -> None:
    assert client.post("/v1/videos", json=request(), headers={"Content-Encoding": "Identity"}).status_code == 200
