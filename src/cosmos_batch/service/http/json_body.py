"""JSON of requests: refused are keys that are given twice, text that is not UTF-8, and what cannot be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from cosmos_batch.errors import Problem
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json, unstorable_texts
from cosmos_batch.formats.problems import Location, join_path, printable, shortened
from cosmos_batch.service.http.errors import MAX_PROBLEMS, ApiError, bad_input

LARGE_BYTES = 64 * 1024
"""Size of a body above which it is parsed in a thread of its own, so that other requests go on."""
MOST_KEYS = 1000
"""Keys of one object: each unknown one costs time, which other requests wait for."""
_ESCAPES = (b"\\u0000", b"\\ud", b"\\uD")  # of characters that may not be storable


def json_value(raw: bytes, what: str = "the body") -> object:
    """Parse the JSON of a request; `what` is its name in messages. Raises ApiError."""
    try:
        value = parse_json(raw)
    except MalformedJsonError as exc:
        where = f" at line {exc.row}, column {exc.column}" if exc.row else ""
        raise ApiError(400, "bad_json", f"{what} {exc.message}{where}; {exc.remedy}") from exc
    if any(escape in raw for escape in _ESCAPES):
        refuse_unstorable(value)
    return value


def refuse_unstorable(value: object) -> None:
    """Refuse texts that the ledger cannot store. Raises ApiError with each of them."""
    faults = islice(unstorable_texts(value), MAX_PROBLEMS)
    remedy = "leave that character out"
    if problems := [Problem("", None, path, "", message, remedy) for path, message in faults]:
        raise bad_input(problems)


def crowded_objects(value: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
    """Find the objects within objects that have more than `MOST_KEYS` keys."""
    if len(value) > MOST_KEYS:
        remedy = f"an object of a request has at most {MOST_KEYS:,}; remove the others"
        first = shortened(printable(", ".join(islice(value, 3))))
        yield Location().problem(path, f"has {len(value):,} keys, {first} and so on", remedy)
        return
    for name, each in value.items():
        if isinstance(each, dict):
            yield from crowded_objects(each, join_path(path, name))


async def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object; a large one in a thread. Raises ApiError."""
    value = await asyncio.to_thread(json_value, raw) if len(raw) > LARGE_BYTES else json_value(raw)
    if not isinstance(value, dict):
        raise ApiError(400, "bad_json", "the body is not a JSON object")
    if crowded := list(crowded_objects(value)):
        raise bad_input(crowded)
    return value


class StrictJsonRoute(APIRoute):
    """A route whose JSON body is parsed by `json_object`, not by FastAPI."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make the handler of the route."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_parsed(request: Request) -> Response:
            parsed = _ParsedRequest(request.scope, request.receive)
            parsed.value = await json_object(await parsed.body())
            return await handle(parsed)

        return handle_parsed


class _ParsedRequest(Request):
    """A request whose body was parsed."""

    value: object = None

    async def json(self) -> Any:
        """Return the parsed body."""
        return self.value
