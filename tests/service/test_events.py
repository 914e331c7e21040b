"""Server-sent events: no event is lost in a burst, and a slow client does not delay others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.ledger import Ledger, Submission
from cosmos_batch.service.api_keys import ApiKeyCache, make_key, revoke_key
from cosmos_batch.service.events import EventStreams
from cosmos_batch.service.http.auth import Authenticator
from cosmos_batch.service.http.errors import ApiError
from tests.support.dispatch_world import make_run


def admits(_key_name: str) -> bool:
    return True


def submit(ledger: Ledger, count: int, first: int = 0) -> None:
    """Submit runs."""
    runs = [make_run(f"r{first + number}", Path("/in.mp4")) for number in range(count)]
    ledger.runs.accept([Submission(run) for run in runs])


def parsed(text: str) -> dict[str, Any]:
    """Parse the fields of an event."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return fields | {"data": json.loads(fields.get("data", "null"))}


async def changes(stream: AsyncIterator[str], count: int) -> list[dict[str, Any]]:
    """Read the next state changes of a stream, or all until it ends."""
    found: list[dict[str, Any]] = []
    async for text in stream:
        event = parsed(text)
        if event.get("event") == "video.state":
            found.append(event)
        if len(found) == count:
            break
    return found


def test_burst_of_changes_is_complete_and_in_order(ledger: Ledger) -> None:
    async def watch() -> list[dict[str, Any]]:
        streams = EventStreams(ledger, 1, admits)
        stream = await streams.subscribe("", None)
        submit(ledger, 1700)
        seen = await changes(stream, 1700)
        streams.close()
        return seen

    seen = asyncio.run(watch())
    assert [event["data"]["video"] for event in seen] == [f"r{number}" for number in range(1700)]


def test_stream_resumes_after_an_event_id(ledger: Ledger) -> None:
    submit(ledger, 1200)

    async def watch() -> list[dict[str, Any]]:
        streams = EventStreams(ledger, 1, admits)
        stream = await streams.subscribe("", 100)
        submit(ledger, 5, first=1200)
        seen = await changes(stream, 1105)
        streams.close()
        return seen

    assert [int(event["id"]) for event in asyncio.run(watch())] == list(range(101, 1206))


def test_stream_of_a_slow_client_is_closed_and_others_continue(ledger: Ledger) -> None:
    async def watch() -> tuple[int, int]:
        streams = EventStreams(ledger, 2, admits)
        idle, eager = [await streams.subscribe("", None) for _ in range(2)]
        for number in range(5):
            submit(ledger, 500, first=500 * number)
        seen = len(await changes(eager, 2500))
        left = len(await changes(idle, 2500))
        streams.close()
        return seen, left

    assert asyncio.run(watch()) == (2500, 0)


def test_number_of_streams_is_limited(ledger: Ledger) -> None:
    async def open_two() -> None:
        streams = EventStreams(ledger, 1, admits)
        await streams.subscribe("", None)
        try:
            with pytest.raises(ApiError, match="1 event streams are open") as refused:
                await streams.subscribe("", None)
            assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "10"})
        finally:
            streams.close()

    asyncio.run(open_two())


def test_stream_ends_once_its_key_is_revoked(ledger: Ledger) -> None:
    make_key(ledger, "alice")
    make_key(ledger, "bob")
    keys = Authenticator(ApiKeyCache(ledger), local=True)

    async def watch() -> tuple[int, int]:
        streams = EventStreams(ledger, 2, keys.admits)
        ended, kept = [await streams.subscribe("", None, name) for name in ("alice", "bob")]
        revoke_key(ledger, "alice")
        async for _ in ended:
            pass
        submit(ledger, 3)
        seen = len(await changes(kept, 3))
        streams.close()
        return seen, len(await changes(ended, 1))

    assert asyncio.run(asyncio.wait_for(watch(), 30)) == (3, 0)


def test_stream_without_a_key_ends_once_keys_are_needed(ledger: Ledger) -> None:
    keys = Authenticator(ApiKeyCache(ledger), local=True)

    async def watch() -> None:
        stream = await EventStreams(ledger, 1, keys.admits).subscribe("", None)
        make_key(ledger, "alice")
        async for _ in stream:
            pass

    asyncio.run(asyncio.wait_for(watch(), 30))
