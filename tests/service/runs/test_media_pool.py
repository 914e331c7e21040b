"""Pools for slow work: other requests are answered meanwhile, and a long one is answered in the end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import probe
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.media_pool import MediaPool
from cosmos_batch.service.runs.previews import Previews
from tests.support.dispatch_world import make_input
from tests.support.http_server import request
from tests.support.shown_files import UPRIGHT, encoded

SLOW = 10  # more than the threads that answer requests


class Gate:
    """Slow work: it waits until the test opens the gate."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)

    def wait(self) -> None:
        self.entered.release()
        assert self.opened.wait(60)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate that previews, thumbnails and probes of "slow" files wait for."""
    made = Gate()
    make = Previews.make

    def slow_preview(self: Previews, path: Path) -> Path:
        made.wait()
        return make(self, path)

    def slow_thumbnail(_: Path) -> bytes:
        made.wait()
        return b"\x89PNG"

    def slow_probe(path: Path) -> VideoInfo:
        if "slow" in path.name:
            made.wait()
        return probe(path)

    monkeypatch.setattr(Previews, "make", slow_preview)
    monkeypatch.setattr("cosmos_batch.service.routes.videos.thumbnail", slow_thumbnail)
    monkeypatch.setattr("cosmos_batch.service.runs.parse_request.probe_untrusted", slow_probe)
    return made


def _previews(client: TestClient, videos: Path) -> list[Callable[[], int]]:
    calls = []
    for number in range(SLOW):
        encoded(videos / f"a{number}.mp4", [UPRIGHT] * 2, "mpeg4")
        weights = {"weights": {"edge": 1}, "resolution": "32"}
        body = request(f"a{number}.mp4", id=f"r{number}", execution_config=weights)
        assert client.post("/v1/videos", json=body).status_code == 200
        path = f"/v1/videos/r{number}/content?variant=input&playable=true"
        calls.append(lambda path=path: client.get(path).status_code)
    return calls


def _thumbnails(client: TestClient, _: Path) -> list[Callable[[], int]]:
    assert client.post("/v1/videos", json=request(id="r")).status_code == 200
    return [lambda: client.get("/v1/videos/r/content?variant=thumbnail").status_code] * SLOW


def _probes(client: TestClient, videos: Path) -> list[Callable[[], int]]:
    assert client.post("/v1/videos", json=request(id="known")).status_code == 200  # its file is probed once
    for number in range(SLOW):
        make_input(videos / f"slow{number}.mp4")
    bodies = [request(f"slow{number}.mp4", id=f"p{number}") for number in range(SLOW)]
    return [lambda body=body: client.post("/v1/videos", json=body).status_code for body in bodies]


@pytest.mark.parametrize("make_calls", [_previews, _thumbnails, _probes])
def test_slow_work_holds_up_no_other_request(
    client: TestClient, videos: Path, gate: Gate, make_calls: Callable[[TestClient, Path], list[Callable[[], int]]]
) -> None:
    calls = make_calls(client, videos)
    with ThreadPoolExecutor(SLOW) as threads:
        answers = [threads.submit(call) for call in calls]
        try:
            assert gate.entered.acquire(timeout=60)
            assert client.get("/v1/queue").status_code == 200
            assert client.get("/v1/videos").status_code == 200
            assert client.post("/v1/videos", json=request(id="other")).status_code == 200
            assert not any(answer.done() for answer in answers)
        finally:
            gate.opened.set()
        assert [answer.result() for answer in answers] == [200] * SLOW


def test_file_that_takes_longer_than_the_patience_with_bodies_is_served(
    make_client: Callable[..., TestClient], videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(body_seconds=0.001, stall_seconds=0.001)
    [call, *_] = _previews(client, videos)
    make = Previews.make

    def slow_preview(self: Previews, path: Path) -> Path:
        threading.Event().wait(0.05)
        return make(self, path)

    monkeypatch.setattr(Previews, "make", slow_preview)
    assert call() == 200


def test_pool_refuses_what_it_cannot_reach() -> None:
    async def crowd() -> list[object]:
        pool, gate = MediaPool("test", 1, most_waiting=1), threading.Event()
        calls = [asyncio.create_task(pool.run(lambda: gate.wait(60))) for _ in range(3)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        gate.set()
        return list(await asyncio.gather(*calls, return_exceptions=True))

    first, second, third = asyncio.run(crowd())
    assert (first, second) == (True, True)
    assert isinstance(third, ApiError)
    assert third.status == 503


def test_pool_of_a_server_that_stops_refuses_what_waits_and_what_comes() -> None:
    async def stop() -> list[object]:
        pool, gate = MediaPool("test", 1), threading.Event()
        calls = [asyncio.create_task(pool.run(lambda: gate.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        pool.close()
        calls.append(asyncio.create_task(pool.run(lambda: True)))
        await asyncio.wait(calls[1:])
        gate.set()
        return list(await asyncio.gather(*calls, return_exceptions=True))

    first, *refused = asyncio.run(stop())
    assert first is True
    assert [each.status for each in refused if isinstance(each, ApiError)] == [503, 503]


def test_pool_has_a_lower_priority_than_requests() -> None:
    async def niceness() -> int:
        return await MediaPool("test", 1).run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert asyncio.run(niceness()) > own or own >= 10
