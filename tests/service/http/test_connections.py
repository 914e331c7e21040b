"""Limits on connections, with real sockets: heads, idle connections, their number."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import make_key
from cosmos_batch.service.http.connections import TrustedProxies
from tests.service.http.conftest import ADDRESS, Start
from tests.support.waiting import wait_until

MOST = 500  # pieces of data that a test sends
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answer(connection: socket.socket) -> tuple[int, Any]:
    """Receive one response: its status and its JSON; (0, None) where the connection is closed instead."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (data := _received(connection)):
            return 0, None
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    while len(body) < int(lines["content-length"]):
        body += _received(connection)
    return int(head.split()[1]), json.loads(body)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the server has closed a connection without a response."""
    connection.settimeout(0.01)
    try:
        return not _received(connection)
    except TimeoutError:
        return False


def sends_until_closed(connection: socket.socket, data: bytes, pause: float = 0.0) -> int:
    """Send data again and again until the connection is closed; return how often, at most `MOST` times."""
    for count in range(MOST):
        try:
            connection.sendall(data)
        except OSError:
            return count
        time.sleep(pause)
    return MOST


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 3000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000,
        b"\r\n" * 50_000,
    ],
)
def test_large_head_is_refused(start: Start, head: bytes) -> None:
    connection = start(head_bytes=2000)()
    connection.sendall(head)
    status, body = answer(connection)
    assert (status, body["error"]["code"]) == (431, "head_too_large")
    assert is_closed(connection)


@pytest.mark.parametrize(
    "rest",
    [
        b"1;" + b"x" * 10_000_000,  # an extension of a chunk
        b"1\r\na\r\n0\r\nX: " + b"x" * 10_000_000,  # a trailer
        b"1\r\na\r\n0\r\n" + b"X: x\r\n" * 1_000_000,
    ],
)
def test_endless_line_of_a_chunked_body_is_refused(start: Start, rest: bytes) -> None:
    connection = start()()
    connection.sendall(b"POST /v1/plan HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert sends_until_closed(connection, rest) < 10


def test_incomplete_head_is_refused_in_time(start: Start) -> None:
    connect = start(head_seconds=0.3)
    silent, slow, second = connect(), connect(), connect()
    slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    second.sendall(GET)
    assert answer(second)[0] == 200
    second.sendall(b"GET /healthz HTTP/1.1\r\n")
    assert answer(silent) == (0, None)
    for connection in (slow, second):
        status, body = answer(connection)
        assert (status, body["error"]["code"]) == (408, "too_slow")


def test_dripping_head_is_refused_in_time(start: Start) -> None:
    connection = start(head_seconds=0.3)()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    assert sends_until_closed(connection, b"x", pause=0.02) < MOST


def test_body_after_the_response_does_not_keep_a_connection(start: Start, ledger: Ledger) -> None:
    make_key(ledger, "alice")
    connection = start(head_seconds=0.3)()
    connection.sendall(b"POST /v1/plan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{")
    assert answer(connection)[0] == 401
    assert sends_until_closed(connection, b"x", pause=0.02) < MOST


def test_waiting_connections_give_way_to_new_ones(start: Start) -> None:
    connect = start(connections_per_address=4)
    idle = [connect() for _ in range(20)]
    used = connect()
    for _ in range(3):
        used.sendall(GET)
        assert answer(used)[0] == 200
    wait_until(lambda: sum(map(is_closed, idle)) == 17)
    assert [is_closed(connection) for connection in idle[-3:]] == [False] * 3


def test_connection_with_a_request_does_not_give_way(start: Start) -> None:
    connect = start(connections_per_address=2)
    streams = [connect() for _ in range(2)]
    for stream in streams:
        stream.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.recv(15) == b"HTTP/1.1 200 OK"
    status, body = answer(connect())
    assert (status, body["error"]["code"]) == (503, "too_many_connections")
    streams[0].close()
    wait_until(lambda: answered(connect()))


def answered(connection: socket.socket) -> bool:
    connection.sendall(GET)
    return answer(connection)[0] == 200


def test_limit_of_all_connections_holds_for_a_proxy(start: Start, ledger: Ledger) -> None:
    make_key(ledger, "alice")
    connect = start(proxies=(ADDRESS,), connections=8, connections_per_address=2)
    idle = [connect() for _ in range(20)]
    assert answered(connect())
    wait_until(lambda: sum(map(is_closed, idle)) == 13)


def test_requests_that_wait_on_one_connection_are_bounded(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    connect = start(pipelined=3)
    polite, greedy = connect(), connect()
    polite.sendall(GET * 4)
    received = b""
    while received.count(b"HTTP/1.1 200") < 4:
        received += polite.recv(65536)
    greedy.sendall(GET * 5)
    assert answer(greedy) == (0, None)
    assert answered(connect())
    log = ""

    def all_ended() -> bool:
        nonlocal log
        log += capfd.readouterr().err
        return log.count('"event": "request"') >= 5  # of the polite client, and the last one

    wait_until(all_ended)
    assert "error" not in log


@pytest.mark.parametrize("proxies", [(), (ADDRESS,)])
def test_forwarded_address_counts_from_a_named_proxy_alone(
    start: Start, ledger: Ledger, proxies: tuple[str, ...]
) -> None:
    key = make_key(ledger, "alice")
    connection = start(proxies=proxies, requests_per_second=0.001, burst=1)()
    statuses = []
    for client in (b"10.1.1.1", b"10.1.1.2", b"10.1.1.1"):
        head = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n" % key.encode()
        connection.sendall(head + b"X-Forwarded-For: %b\r\n\r\n" % client)
        statuses.append(answer(connection)[0])
    assert statuses == ([200, 200, 429] if proxies else [200, 429, 429])


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\r\n",
    ],
)
def test_what_is_not_http_gets_400(start: Start, raw: bytes) -> None:
    connection = start()()
    connection.sendall(raw)
    assert answer(connection)[0] == 400


@pytest.mark.parametrize("rest", [b"FFFFFFFFFFFFFFFFF\r\nabc", b"-1\r\nabc\r\n", b"3\nabc\n0\n\n"])
def test_malformed_body_gets_400(start: Start, rest: bytes) -> None:
    connection = start()()
    connection.sendall(b"POST /v1/plan HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)
    assert answer(connection)[0] == 400
    assert is_closed(connection)


def test_client_that_leaves_within_a_body_is_no_error_of_the_server(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = start()()
    connection.sendall(b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    connection.close()
    log = ""

    def ended() -> bool:
        nonlocal log
        log += capfd.readouterr().err
        return '"path": "/v1/videos"' in log

    wait_until(ended)
    assert '"status": 400' in log
    assert "error" not in log.lower()


def test_proxies_are_addresses_or_networks() -> None:
    proxies = TrustedProxies(["10.0.0.5", "fd00::/8"])
    assert [host in proxies for host in ("10.0.0.5", "10.0.0.6", "fd00::1", "unknown")] == [
        True,
        False,
        True,
        False,
    ]
    with pytest.raises(InputError, match=r"--proxy = 'proxy.example': is no address") as refused:
        TrustedProxies(["proxy.example", "10.0.0.5/8"])
    assert len(refused.value.problems) == 2
