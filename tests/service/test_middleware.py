"""Middleware of every request: headers, request ids and the access log."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.app import ServiceApp
from cosmos_batch.service.middleware import RequestMiddleware
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.dispatch_world import PRIOR, TRAITS


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for path, policy in (("/v1/videos", "sandbox"), ("/", "script-src 'self'"), ("/v1/nothing", "sandbox")):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert policy in headers["content-security-policy"]


def test_request_is_logged_under_the_id_of_its_response(tmp_path: Path, ledger: Ledger) -> None:
    lines = io.StringIO()
    engine = ServedEngine("pocket", TRAITS, PRIOR)
    state = AppState(tmp_path / "home", ledger, engine, ServerSettings(), EventLog(lines))
    with TestClient(ServiceApp(state), base_url="http://127.0.0.1:8000") as client:
        response = client.get("/v1/videos/unknown")
    [line] = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert (line["event"], line["id"]) == ("request", response.headers["x-request-id"])
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/videos/unknown", 404)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/videos/a%00b",
        "/v1/videos?q=%00",
        "/v1/videos/%ff",
        "/v1/videos?q=%E4",
        "/v1/videos?q=%ED%A0%80",
        "/%00",
    ],
)
def test_url_with_a_nul_or_text_that_is_not_utf8_is_refused(client: TestClient, target: str) -> None:
    answer = client.get(target)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_url")


def test_request_that_a_stop_interrupts_gets_503(tmp_path: Path, ledger: Ledger) -> None:
    state = AppState(tmp_path / "home", ledger, ServedEngine("pocket", TRAITS, PRIOR), ServerSettings())
    sent: list[Message] = []

    async def wait_for_ever(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def stop() -> None:
        scope = {"type": "http", "method": "GET", "path": "/docs", "raw_path": b"/docs", "headers": []}
        task = asyncio.create_task(RequestMiddleware(wait_for_ever, state)(scope, receive, send))
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(stop())
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["error"]["code"] == "stopping"


def test_percent_sign_before_zeros_is_no_nul(client: TestClient) -> None:
    assert client.get("/v1/videos?q=100%2500").status_code == 200
