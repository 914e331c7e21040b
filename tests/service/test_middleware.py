"""Middleware of every request: headers, request ids and the access log."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from tests.support.http_server import request


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for path, policy in (("/v1/videos", "sandbox"), ("/", "script-src 'self'"), ("/v1/nothing", "sandbox")):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert policy in headers["content-security-policy"]


def test_request_is_logged_under_the_id_of_its_response(
    capsys: pytest.CaptureFixture[str], client: TestClient
) -> None:
    made = client.post("/v1/videos", json=request(id="r"))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["id"] == made.headers["x-request-id"]]
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "POST", "/v1/videos", 200)
