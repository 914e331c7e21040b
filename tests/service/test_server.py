"""A real server with a worker: OpenAI's client, events, metrics, restart."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from openai import BadRequestError, ConflictError, NotFoundError, OpenAI

from tests.support.dispatch_world import make_input
from tests.support.http_server import PATIENCE, events_of, request, server, until
from tests.support.shown_files import encoded
from tests.support.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    make_input(folder / "dock.mp4")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A server with a slow worker; the run `bad` fails, the run `rude` is blocked."""
    options = ("--root", str(folder), "--flush-seconds", "0.1", "--max-failures", "1")
    with server(folder / "home", *options, REPLAY_STEP="0.02", REPLAY_FAULTS="bad=FAIL rude=BLOCK") as address:
        yield address


@pytest.fixture(scope="module")
def openai(address: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="none is needed", max_retries=0) as client:
        yield client


def test_openai_client_creates_and_downloads_a_video(openai: OpenAI, folder: Path) -> None:
    weights = {"execution_config": {"weights": {"edge": 0.5}, "num_steps": 3}}
    with (folder / "dock.mp4").open("rb") as clip:
        video = openai.videos.create(prompt="a dock", input_reference=clip, extra_body=weights)
    assert (video.object, video.model, video.status) == ("video", "pocket", "queued")
    video = until(lambda: openai.videos.retrieve(video.id), lambda found: found.status in ("completed", "failed"))
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert b"ftyp" in openai.videos.download_content(video.id).read()[:16]
    assert video.id in [each.id for each in openai.videos.list(limit=1)]  # page by page, to the end
    assert openai.videos.delete(video.id).deleted
    with pytest.raises(NotFoundError):
        openai.videos.retrieve(video.id)
    with pytest.raises(BadRequestError, match="no active control"):
        openai.videos.create(prompt="a dock", extra_body={"inputs": {"video": "dock.mp4"}})


def test_openai_client_polls_until_a_failure(openai: OpenAI) -> None:
    for run_id, code in (("bad", "failed"), ("rude", "blocked")):
        body = {key: value for key, value in request(id=run_id).items() if key != "prompt"}
        video = openai.videos.create_and_poll(prompt="a dock", poll_interval_ms=100, extra_body=body)
        assert video.status == "failed"
        assert video.error is not None
        assert video.error.code == code
        with pytest.raises(ConflictError):
            openai.videos.create(prompt="another", extra_body=body)


def test_openai_client_runs_a_batch(openai: OpenAI) -> None:
    lines = [
        {"custom_id": f"c{n}", "method": "POST", "url": "/v1/videos", "body": request(id=f"batched-{n}")}
        for n in range(3)
    ]
    text = "\n".join([*map(json.dumps, lines), "oops"]).encode()
    file = openai.files.create(file=("runs.jsonl", text), purpose="batch")
    batch = openai.batches.create(input_file_id=file.id, endpoint="/v1/videos", completion_window="24h")
    batch = until(lambda: openai.batches.retrieve(batch.id), lambda found: found.status == "completed")
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 1)
    assert batch.output_file_id
    assert batch.error_file_id
    output = [json.loads(line) for line in openai.files.content(batch.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in output] == ["c0", "c1", "c2"]
    assert len(openai.files.content(batch.error_file_id).text.splitlines()) == 1
    assert batch.id in [each.id for each in openai.batches.list(limit=1)]
    assert openai.files.delete(file.id).deleted


def test_event_stream_has_every_change_and_resumes(address: str) -> None:
    httpx.post(f"{address}/v1/queue/pause")
    made = httpx.post(f"{address}/v1/videos", json=request(id="watched")).json()
    latest = httpx.get(f"{address}/v1/videos/watched/history").json()["data"][-1]["id"]
    httpx.post(f"{address}/v1/queue/resume")
    assert made["status"] == "queued"
    states: list[str] = []
    last = latest - 1
    for event in events_of(address, f"?video=watched&after={last}"):
        if event["event"] == "video.state":
            states.append(json.loads(event["data"])["state"])
            if states[-1] == "succeeded":
                break
    assert states == ["queued", "leased", "running", "succeeded"]
    again = next(events_of(address, f"?video=watched&after={last}"))
    assert json.loads(again["data"])["state"] == "queued"
    name = next(event["event"] for event in events_of(address))
    assert name == "queue"


def test_content_of_a_finished_run_is_served(address: str) -> None:
    httpx.post(f"{address}/v1/videos", json=request(id="seen"))
    video = until(lambda: httpx.get(f"{address}/v1/videos/seen").json(), lambda v: v["status"] == "completed")
    assert {"input", "video", "thumbnail", "run"} <= set(video["variants"])
    at = f"{address}/v1/videos/seen/content"
    assert httpx.get(at, params={"variant": "thumbnail"}).content[:4] == b"\xff\xd8\xff\xe0"
    assert httpx.get(at, params={"variant": "run"}).json()["id"] == "seen"
    assert httpx.get(at, headers={"Range": "bytes=0-9"}).status_code == 206
    history = httpx.get(f"{address}/v1/videos/seen/history").json()
    assert [attempt["outcome"] for attempt in history["attempts"]] == ["succeeded"]


def test_stats_and_metrics_count_finished_runs(address: str) -> None:
    def ready(stats: Any) -> bool:
        return bool(stats["predictions"])

    stats = until(lambda: httpx.get(f"{address}/v1/stats").json(), ready)
    assert stats["succeeded"] > 0
    assert sum(stats["batch_sizes"].values()) > 0
    metrics = httpx.get(f"{address}/metrics").text
    for name in (
        "wait_seconds_count",
        "batch_size_bucket",
        "idle_share",
        "queue_depth",
        "retries_total",
        "http_requests_total",
    ):
        assert f"cosmos_batch_{name}" in metrics, name


def test_queue_shows_the_worker_and_health_is_ok(address: str) -> None:
    queue = until(lambda: httpx.get(f"{address}/v1/queue").json(), lambda found: found["trouble"] is None)
    assert [worker["engine"] for worker in queue["workers"]] == ["replay"]
    assert httpx.get(f"{address}/healthz").json()["status"] == "ok"


def test_restarted_server_continues_with_its_queue(tmp_path: Path) -> None:
    make_input(tmp_path / "dock.mp4")
    options = ("--root", str(tmp_path), "--flush-seconds", "0.1")
    with server(tmp_path / "home", *options, "--on-start", "pause") as address:
        httpx.post(f"{address}/v1/videos", json=request(id="r"))
    with server(tmp_path / "home", *options, "--on-start", "keep") as address:
        assert httpx.get(f"{address}/v1/queue").json()["mode"] == "paused"
        httpx.post(f"{address}/v1/queue/resume")
        until(lambda: httpx.get(f"{address}/v1/videos/r").json(), lambda video: video["status"] == "completed")


def test_preview_that_a_stop_interrupts_gets_503(tmp_path: Path) -> None:
    encoded(tmp_path / "long.mp4", [np.zeros((360, 640, 3), np.uint8)] * 300, "mpeg4")
    with ThreadPoolExecutor() as threads:
        with server(tmp_path / "home", "--root", str(tmp_path), "--on-start", "pause") as address:
            made = httpx.post(f"{address}/v1/videos", json=request("long.mp4", id="r"))
            assert made.status_code == 200
            place = f"{address}/v1/videos/r/content?variant=input&playable=true"
            answer = threads.submit(httpx.get, place, timeout=PATIENCE)
            wait_until(lambda: any((tmp_path / "home" / "previews").iterdir()))
        assert answer.result().status_code == 503
        assert answer.result().json()["error"]["code"] == "stopping"


def test_public_address_without_keys_is_refused(tmp_path: Path) -> None:
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
    assert "there is no valid API key; make one with: cosmos-batch keys add" in ended.stderr


def test_connections_that_send_nothing_do_not_stop_the_service(address: str) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 4096)), most))
    host, _, port = address.removeprefix("http://").rpartition(":")
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))
        assert httpx.get(f"{address}/v1/queue", timeout=PATIENCE).status_code == 200


def test_endless_header_is_not_taken(address: str) -> None:
    host, _, port = address.removeprefix("http://").rpartition(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        with suppress(OSError):
            while sent < 500:
                connection.sendall(bytes(b"x" * (1 << 20)))
                sent += 1
    assert sent < 20  # what the buffers of the kernel hold
