"""Who may ask: no key on a loopback address, a key everywhere else; and no page of another site."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cosmos_batch.errors import ConflictError, InputError
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import ApiKeyCache, digest_of, make_key, revoke_key
from cosmos_batch.service.settings import is_loopback
from tests.service.conftest import request

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


def test_without_keys_a_loopback_server_asks_for_none(client: TestClient) -> None:
    assert {path: client.get(path).status_code for path in (*OPEN, *GUARDED)} == dict.fromkeys(OPEN + GUARDED, 200)
    assert client.get("/v1/server").json()["keys_required"] is False


def test_with_a_key_everything_but_the_page_needs_it(key: str, client: TestClient) -> None:
    for path in OPEN:
        assert client.get(path).status_code == 200, path
    for path in GUARDED:
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 200, path


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer cb_wrong", "Basic YTpi", "bearer \xff"])
def test_what_is_no_key_opens_nothing(key: str, client: TestClient, header: str) -> None:
    assert key
    answer = client.get("/v1/videos", headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_opens_nothing(ledger: Ledger) -> None:
    now = [0.0]
    ring = ApiKeyCache(ledger, lambda: now[0])
    alice, bob = make_key(ledger, "alice"), make_key(ledger, "bob")
    assert (ring.match(alice), ring.match(bob), ring.match("cb_no")) == ("alice", "bob", None)
    revoke_key(ledger, "alice")
    now[0] += 10
    assert (ring.match(alice), ring.match(bob), ring.in_force) == (None, "bob", True)


def test_keys_are_kept_as_digests_under_names_used_once(ledger: Ledger) -> None:
    token = make_key(ledger, "alice")
    assert ledger.api_keys.name_of(digest_of(token)) == "alice"
    assert token not in str(ledger.api_keys.all())
    with pytest.raises(InputError, match="already"):
        make_key(ledger, "alice")
    with pytest.raises(ConflictError):
        ledger.api_keys.add("alice", digest_of("another"))
    for name in ("", "a b", "../x", "x" * 65):
        with pytest.raises(InputError, match="not a valid name"):
            make_key(ledger, name)
    with pytest.raises(InputError, match="not the name of a valid key"):
        revoke_key(ledger, "nobody")


def test_a_browser_gets_a_cookie_for_its_key(key: str, client: TestClient) -> None:
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
def test_a_forged_cookie_opens_nothing(key: str, client: TestClient, forged: str) -> None:
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
        ({"Host": "evil.example"}, 403),  # a name that an attacker lets resolve to 127.0.0.1
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
    ],
)
def test_pages_of_other_sites_change_nothing(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/v1/videos", json=request(), headers=headers).status_code == status


def test_whoever_asks_is_named_in_what_happened(key: str, client: TestClient, ledger: Ledger) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    client.post("/v1/videos", json=request(id="r"), headers=headers)
    client.post("/v1/videos/r/cancel", headers=headers)
    record = ledger.queries.get("r")
    assert record is not None
    assert (record.owner, record.cause) == ("alice", "cancelled by alice")


def test_idempotency_keys_of_two_callers_are_two(ledger: Ledger, client: TestClient) -> None:
    made = []
    for name in ("alice", "bob"):
        headers = {"Authorization": f"Bearer {make_key(ledger, name)}", "Idempotency-Key": "k"}
        made.append(client.post("/v1/videos", json=request(), headers=headers).json()["id"])
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", 1), ("127.8.8.8", 1), ("::1", 1), ("localhost", 1), ("0.0.0.0", 0), ("lab-7", 0)],
)
def test_which_addresses_are_this_machine_alone(host: str, local: int) -> None:
    assert is_loopback(host) is bool(local)


def test_other_addresses_are_not_served_without_keys(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.support.cli_launcher",
        "serve",
        str(tmp_path / "home"),
        "--host",
        "0.0.0.0",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no API key; make one with: cosmos-batch keys add" in ended.stderr


def test_health_says_what_is_wrong_to_those_with_a_key(
    ledger: Ledger, make_client: Callable[..., TestClient]
) -> None:
    client = make_client()
    assert client.get("/healthz").json() == {"status": "degraded", "detail": "no worker is alive"}
    make_key(ledger, "alice")
    assert make_client().get("/healthz").json() == {"status": "degraded", "detail": ""}
