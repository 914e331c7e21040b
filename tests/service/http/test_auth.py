"""Authentication: keys, session cookies, cross-site requests."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from cosmos_batch.ledger import Ledger
from cosmos_batch.service import api_keys
from cosmos_batch.service.api_keys import ApiKeyCache, make_key, revoke_key
from cosmos_batch.service.http.auth import Authenticator
from tests.support.http_server import request

OPEN = ("/", "/healthz", "/docs", "/openapi.json", "/v1/server")
GUARDED = (
    "/v1/videos",
    "/v1/files",
    "/v1/batches",
    "/v1/queue",
    "/v1/stats",
    "/v1/models",
    "/v1/roots",
    "/metrics",
)


@pytest.fixture
def key(ledger: Ledger) -> str:
    return make_key(ledger, "alice")


def test_loopback_server_without_keys_needs_none(client: TestClient) -> None:
    assert {path: client.get(path).status_code for path in (*OPEN, *GUARDED)} == dict.fromkeys(OPEN + GUARDED, 200)
    assert client.get("/v1/server").json()["keys_required"] is False


def test_once_there_is_a_key_all_but_the_page_needs_one(key: str, client: TestClient) -> None:
    for path in OPEN:
        assert client.get(path).status_code == 200, path
    for path in GUARDED:
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 200, path


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer cb_wrong", "Basic YTpi", "bearer \xff"])
def test_request_without_a_valid_key_is_refused(key: str, client: TestClient, header: str) -> None:
    assert key
    answer = client.get("/v1/videos", headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_session_cookie_replaces_the_key(key: str, client: TestClient) -> None:
    assert client.post("/v1/session").status_code == 401
    opened = client.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    cookie = opened.headers["set-cookie"]
    assert opened.status_code == 204
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert key not in cookie
    assert client.get("/v1/videos").status_code == 200
    assert client.get("/v1/server").json()["signed_in"] is True
    client.delete("/v1/session")
    assert client.get("/v1/videos").status_code == 401


@pytest.mark.parametrize("forged", ["alice:9999999999:00", "alice:9999999999:", "::", "é", "alice", "a:b:c"])
def test_forged_cookie_is_refused(key: str, client: TestClient, forged: str) -> None:
    assert key
    headers = {"Cookie": f"cosmos_batch_session={forged}".encode()}
    assert client.get("/v1/videos", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 403),  # DNS rebinding: an attacker's name that resolves to 127.0.0.1
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:8000"}, 200),
    ],
)
def test_cross_site_write_is_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/v1/videos", json=request(), headers=headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/v1/videos", "/v1/nothing", "/healthz", "/v1/server", "/v1/session", "/", "/docs"]
)
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", b"[", 400),
        ("Host", b"127.0.0.1:port", 400),
        ("Host", b"127.0.0.1:8000@evil.example", 400),
        ("Host", b"\xff", 400),
        ("Host", b"", 400),
        ("Host", b"evil.example", 403),
        ("Host", b"localhost.evil.example:8000", 403),
        ("Origin", b"http://[", 400),
        ("Origin", b"http://[::1", 400),
        ("Origin", b"nonsense", 400),
        ("Origin", b"", 400),
        ("Origin", b"http://127.0.0.1:port", 400),
        ("Origin", b"http://\xff", 400),
    ],
)
def test_bad_host_and_origin_are_refused_everywhere(
    client: TestClient, method: str, path: str, name: str, value: bytes, status: int
) -> None:
    answer = client.request(method, path, headers={name: value})
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}  # it tells nothing else


def test_two_hosts_are_refused(client: TestClient) -> None:
    headers = [("Host", "127.0.0.1:8000"), ("Host", "evil.example")]
    assert client.get("/healthz", headers=headers).status_code == 400


def test_revoking_the_last_key_does_not_open_the_server(
    key: str, client: TestClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "FRESH_SECONDS", 0.0)
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/v1/videos", headers=headers).status_code == 200
    revoke_key(ledger, "alice")
    for sent in (headers, {}):
        assert client.get("/v1/videos", headers=sent).status_code == 401
    assert client.get("/v1/server").json()["keys_required"] is True
    restarted = Authenticator(ApiKeyCache(ledger), local=True)
    assert restarted.keys_required


def test_name_of_the_key_is_in_the_record_of_a_run(key: str, client: TestClient, ledger: Ledger) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    client.post("/v1/videos", json=request(id="r"), headers=headers)
    client.post("/v1/videos/r/cancel", headers=headers)
    record = ledger.queries.get("r")
    assert record is not None
    assert (record.owner, record.cause) == ("alice", "cancelled by alice")


def test_idempotency_keys_belong_to_an_api_key(ledger: Ledger, client: TestClient) -> None:
    made = []
    for name in ("alice", "bob"):
        headers = {"Authorization": f"Bearer {make_key(ledger, name)}", "Idempotency-Key": "k"}
        made.append(client.post("/v1/videos", json=request(), headers=headers).json()["id"])
    assert made[0] != made[1]


def test_cookie_of_another_server_is_refused(key: str, client: TestClient, ledger: Ledger) -> None:
    other = Authenticator(ApiKeyCache(ledger), local=True)
    response = Response()
    scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/", "query_string": b"", "server": None}
    other.open_session(Request(scope | {"headers": [(b"host", b"127.0.0.1")]}), "alice", response)
    cookie = response.headers["set-cookie"].partition(";")[0]
    assert key
    assert other.key_name(Request(scope | {"headers": [(b"cookie", cookie.encode())]})) == "alice"
    assert client.get("/v1/videos", headers={"Cookie": cookie}).status_code == 401
