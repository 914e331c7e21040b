"""Limits on connections, before any request is complete: number, size of a head, and time until it is complete.

A connection that waits for a request may be closed to admit another one: clients that open connections and send
nothing do not keep others out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import resource
from collections import Counter, OrderedDict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.service.http.errors import ApiError, error_object
from cosmos_batch.service.http.slow_readers import ReadLimit
from cosmos_batch.service.settings import Limits

_OTHER_FILES = 256  # open files of the process that are not connections
_LINE_END = 2  # bytes that some clients send after a body

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` counts."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """`addresses`: of hosts or networks. Raises InputError for what is neither."""
        self.networks: list[Network] = []
        problems = []
        for text in addresses:
            try:
                self.networks.append(ipaddress.ip_network(text))
            except ValueError as exc:
                remedy = "name an address such as 10.0.0.5, or a network such as 10.0.0.0/24"
                problems.append(Problem("", None, "--proxy", repr(text[:80]), f"is no address ({exc})", remedy))
        if problems:
            raise InputError(problems)

    def __contains__(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


class OpenConnections:
    """The open connections of a server. Belongs to the event loop.

    At the limit, the connection that has waited longest for a request gives way to a new one: of the same address
    for the limit of an address, of any address for the limit of all. Where none waits, the new one is refused.
    """

    def __init__(self, limits: Limits, proxies: TrustedProxies) -> None:
        self.limits = limits
        self._proxies = proxies
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(8, min(limits.connections, files - _OTHER_FILES))
        self._most_of_address = min(limits.connections_per_address, max(4, self._most // 2))
        self._counts: Counter[str] = Counter()  # by address
        self._addresses: dict[BoundedProtocol, str] = {}
        self._waiting: OrderedDict[BoundedProtocol, None] = OrderedDict()  # longest first
        self._waiting_of: dict[str, OrderedDict[BoundedProtocol, None]] = {}  # the same, by address

    def admit(self, connection: BoundedProtocol, address: str) -> bool:
        """Admit a new connection, which waits for a request; False where there is no room."""
        bounded = address not in self._proxies
        if bounded and self._counts[address] >= self._most_of_address:
            if not self._drop_longest(self._waiting_of.get(address)):
                return False
        elif len(self._addresses) >= self._most and not self._drop_longest(self._waiting):
            return False
        self._addresses[connection] = address
        self._counts[address] += 1
        self.waits(connection)
        return True

    def waits(self, connection: BoundedProtocol) -> None:
        """Note that a connection waits for a request from now on."""
        if address := self._addresses.get(connection):
            for waiting in (self._waiting, self._waiting_of.setdefault(address, OrderedDict())):
                waiting.pop(connection, None)
                waiting[connection] = None

    def works(self, connection: BoundedProtocol) -> None:
        """Note that a connection has a request."""
        self._waiting.pop(connection, None)
        address = self._addresses.get(connection, "")
        if (waiting := self._waiting_of.get(address)) is not None:
            waiting.pop(connection, None)
            if not waiting:
                del self._waiting_of[address]

    def remove(self, connection: BoundedProtocol) -> None:
        """Forget a connection that is closed."""
        self.works(connection)
        if (address := self._addresses.pop(connection, None)) is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _drop_longest(self, waiting: OrderedDict[BoundedProtocol, None] | None) -> bool:
        """Close the connection that has waited longest; False where none waits."""
        if not waiting:
            return False
        connection = next(iter(waiting))
        self.remove(connection)
        connection.transport.abort()
        return True


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on heads, on idle connections, on their number and on slow readers."""

    open_connections: OpenConnections  # set by `bounded_protocol`

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._refused = False
        self._in_head = True
        self._head_bytes = 0  # of the request line and the headers, and of trailers
        self._unparsed = 0  # bytes since the parser last got further than a line or a header
        self._deadline: asyncio.TimerHandle | None = None  # of the head
        self._read_limit: ReadLimit | None = None  # while the connection is open
        self._answered: RequestResponseCycle | None = None  # the request that is answered; `cycle` is the latest

    @property
    def _limits(self) -> Limits:
        return self.open_connections.limits

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit or refuse a connection."""
        super().connection_made(transport)
        self._read_limit = ReadLimit(transport, self._limits, self.loop.call_later)
        address = self.client[0] if self.client else "unknown"
        if self.open_connections.admit(self, address):
            self._expect_head()
        else:
            message = "too many connections are open; close some, or try again later"
            self._refuse(ApiError(503, "too_many_connections", message))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.open_connections.remove(self)
        self._unset_deadline()
        if self._read_limit is not None:
            self._read_limit.end()
        super().connection_lost(exc)
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True  # uvicorn says so to the latest request alone
            self._answered.message_event.set()

    def resume_writing(self) -> None:
        """Go on with a response: the client has read what was sent."""
        if self._read_limit is not None:
            self._read_limit.note_drained()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, within the limits."""
        if self._refused:
            return
        if self._idle:
            self._expect_head()
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > self._limits.head_bytes and not self.transport.is_closing():
            self._refuse(_too_large(self._limits.head_bytes))

    def on_message_begin(self) -> None:
        """Start a head. Raises ApiError, which the parser reports as an error, where too many requests wait."""
        if len(self.pipeline) >= self._limits.pipelined:
            message = (
                f"more than {self._limits.pipelined} requests wait on this connection; read the responses first"
            )
            raise ApiError(400, "too_many_pipelined", message)
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL. Raises ApiError, which the parser reports as an error."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer. Raises ApiError, which the parser reports as an error."""
        self._count(len(name) + len(value))
        if self._in_head:  # uvicorn would add a trailer to the headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._in_head = False
        self._unparsed = 0
        self._unset_deadline()
        self.open_connections.works(self)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request's body."""
        self._unparsed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._idle:
            self.open_connections.waits(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or a head that is too large."""
        if self._head_bytes > self._limits.head_bytes:
            self._refuse(_too_large(self._limits.head_bytes))
        else:
            self._refuse(ApiError(400, "bad_request", msg))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            raise _too_large(self._limits.head_bytes)

    def _expect_head(self) -> None:
        """Give the client `head_seconds` for a complete head."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._limits.head_seconds, self._end_wait)

    def _end_wait(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if not self._idle:  # the next head is late while a response is sent: the client has that much longer
            self._expect_head()
        elif self._unparsed > _LINE_END:
            message = f"the head of the request took longer than {self._limits.head_seconds:g} s"
            self._refuse(ApiError(408, "too_slow", message))
        else:
            self.transport.close()

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: ApiError) -> None:
        """Send an error and close the connection; a response that has begun, or that others precede, is cut."""
        self._refused = True
        in_body = not self._idle and self.cycle.more_body and not self.cycle.response_started
        if self._idle or (in_body and not self.pipeline):
            self.transport.write(_raw_response(error))
        self.transport.close()


def bounded_protocol(connections: OpenConnections) -> type[BoundedProtocol]:
    """Make the protocol class of one server."""
    return type("ServerProtocol", (BoundedProtocol,), {"open_connections": connections})


def _too_large(limit: int) -> ApiError:
    message = f"the head of the request is larger than the limit of {limit:,} bytes"
    return ApiError(431, "head_too_large", message)


def _raw_response(error: ApiError) -> bytes:
    body = json.dumps({"error": error_object(error)}).encode()
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
