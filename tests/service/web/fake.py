"""A stand-in for the server behind the page: its paths and shapes, canned answers, runs that a test moves."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from cosmos_batch import service
from tests.service.web import canned

PAGE = Path(service.__file__).parent / "web"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self'"
)


@dataclass
class Fake:
    """What the stand-in server knows; a test reads and changes it from its own thread."""

    films: dict[str, Path]  # by variant: input, control_edge, video
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted: dict[str, dict[str, Any]] = field(default_factory=dict)  # by idempotency key
    files: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    unplanned: set[str] = field(default_factory=set)  # waiting runs that the plan does not know yet
    mode: str = "running"
    key: str | None = None  # the API key wanted, if any
    refusal: dict[str, Any] | None = None  # what the next submission is answered with
    url: str = ""

    def add(self, *videos: dict[str, Any]) -> None:
        """Let the server know of these runs."""
        self.videos.update({video["id"]: video for video in videos})

    def move(self, name: str, state: str, **changes: Any) -> dict[str, Any]:
        """Put a run in another state, and tell the page."""
        video = self.videos[name]
        fresh = canned.video(int(name[-4:]), state, prompt=video["prompt"], created_at=video["created_at"])
        changing = ("state", "status", "reason", "error", "variants", "seconds_taken", "completed_at")
        video.update({key: fresh[key] for key in changing} | changes)
        self.tell(
            "video.state", video=name, state=state, status=video["status"], reason=video["reason"], at=time.time()
        )
        return video

    def step(self, name: str, step: int) -> None:
        """Let a running run come to a step, and tell the page."""
        left = 1.5 * (35 - step)
        self.videos[name].update(step=step, eta_seconds=left)
        self.tell("video.progress", video=name, step=step, steps=35, progress=step * 100 // 35, eta_seconds=left)

    def tell(self, kind: str, **news: Any) -> None:
        """Send an event to whoever listens."""
        self.events.append((kind, news))

    def submit(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """A new waiting run; the same one for a repeated key."""
        if key not in self.submitted:
            number = 1 + max((int(name[-4:]) for name in self.videos), default=0)
            asked = {"prompt": body["prompt"], "inputs": body["inputs"], "created_at": int(time.time())}
            made = canned.video(number, "queued", **asked)
            made["execution_config"] |= body["execution_config"]
            self.submitted[key] = made
            self.add(made)
            self.tell(
                "video.state",
                video=made["id"],
                state="queued",
                status="queued",
                reason="submitted",
                at=time.time(),
            )
        return self.submitted[key]


def refused(status: int, message: str, problems: list[dict[str, Any]] | None = None) -> JSONResponse:
    """An error as the API words it."""
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
        "problems": problems or [],
    }
    return JSONResponse({"error": error}, status)


def part_of(path: Path, request: Request) -> Response:
    """The part of a file that was asked for: a browser that seeks asks for "bytes=FROM-" or "bytes=FROM-TO"."""
    data = path.read_bytes()
    kind = mimetypes.guess_type(path)[0]
    first, _, last = request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(data)), len(data) - 1)
    told = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{end}/{len(data)}"}
    return Response(data[start : end + 1], 206 if "range" in request.headers else 200, told, kind)


def app_of(fake: Fake) -> FastAPI:
    """The stand-in server's routes, and the page at /."""
    app = FastAPI(docs_url=None, openapi_url=None)
    _guard(app, fake)
    _video_routes(app, fake)
    _file_routes(app, fake)
    _queue_routes(app, fake)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _guard(app: FastAPI, fake: Fake) -> None:
    @app.middleware("http")
    async def guard(request: Request, go_on: Any) -> Response:
        behind = request.url.path.startswith("/v1/") and request.url.path not in ("/v1/server", "/v1/session")
        if behind and fake.key and request.cookies.get("cosmos_batch_session") != "yes":
            return refused(401, "an API key is needed")
        if request.method != "GET" and request.headers.get("x-requested-with") != "cosmos-batch":
            return refused(403, "X-Requested-With is missing")
        answer: Response = await go_on(request)
        answer.headers["Content-Security-Policy"] = POLICY
        return answer

    @app.get("/v1/server")
    def server(request: Request) -> dict[str, Any]:
        signed = request.cookies.get("cosmos_batch_session") == "yes"
        return canned.SERVER | {"keys_required": fake.key is not None, "signed_in": fake.key is None or signed}

    @app.post("/v1/session")
    def sign_in(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {fake.key}":
            return refused(401, "no such key")
        answer = Response(status_code=204)
        answer.set_cookie("cosmos_batch_session", "yes", httponly=True, samesite="strict")
        return answer

    @app.delete("/v1/session")
    def sign_out() -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie("cosmos_batch_session")
        return answer


def _video_routes(app: FastAPI, fake: Fake) -> None:
    @app.get("/v1/videos")
    def videos(
        limit: int = 20, after: str = "", state: str = "", q: str = "", rating: str = "", control: str = ""
    ) -> Any:
        found = sorted(fake.videos.values(), key=lambda v: (-v["created_at"], v["id"]))
        found = [v for v in found if not state or v["state"] in state.split(",")]
        found = [
            v for v in found if q.lower() in v["prompt"].lower() and (not rating or v["rating"] == int(rating))
        ]
        found = [v for v in found if not control or v["execution_config"]["weights"].get(control)]
        start = next((n + 1 for n, v in enumerate(found) if v["id"] == after), 0)
        page = found[start : start + limit]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return {"object": "list", "data": page, **ends, "has_more": start + limit < len(found)}

    @app.post("/v1/videos")
    def submit(body: dict[str, Any], request: Request) -> Any:
        if fake.refusal:
            refusal, fake.refusal = fake.refusal, None
            return refused(400, "bad request", [refusal])
        return fake.submit(body, request.headers["idempotency-key"])

    @app.get("/v1/videos/{name}")
    def video(name: str) -> Any:
        return fake.videos.get(name) or refused(404, f"there is no run {name!r} here")

    @app.delete("/v1/videos/{name}")
    def remove(name: str) -> Any:
        del fake.videos[name]
        return {"id": name, "object": "video.deleted", "deleted": True}

    @app.get("/v1/videos/{name}/history")
    def history(name: str) -> Any:
        if name not in fake.videos:
            return refused(404, f"there is no run {name!r} here")
        video = fake.videos[name]
        events = [("queued", "submitted"), (video["state"], video["reason"])]
        data = [
            {"id": n, "state": s, "reason": r, "at": video["created_at"] + 40 * n}
            for n, (s, r) in enumerate(events)
        ]
        tried = {"id": 1, "batch": 17, "worker": "lab-7:4121", "started": video["created_at"] + 40, "ended": None}
        ended = {
            "outcome": "failed",
            "cause": video["reason"],
            "step": 4,
            "steps": 35,
            "ended": video["created_at"] + 52,
        }
        attempts = [tried | ended] if video["state"] == "failed" else []
        return {"object": "list", "data": data, "attempts": attempts}

    @app.get("/v1/videos/{name}/content")
    def content(request: Request, name: str, variant: str = "video") -> Any:
        if variant not in fake.videos[name]["variants"]:
            return refused(404, f"{name} has no {variant}")
        return part_of(fake.films[variant], request)

    @app.post("/v1/videos/{name}/{verb}")
    async def change(name: str, verb: str, request: Request) -> Any:
        if verb == "cancel":
            return fake.move(name, "cancelled", reason="cancelled")
        if verb == "retry":
            return fake.move(name, "queued", reason="queued again", step=0)
        body = await request.json()
        fake.videos[name][verb] = 100 if body[verb] == "urgent" else body[verb]
        return fake.videos[name]


def _file_routes(app: FastAPI, fake: Fake) -> None:
    @app.post("/v1/files")
    async def store(request: Request) -> Any:
        async with request.form() as form:
            sent: Any = form["file"]
            about = {
                "bytes": sent.size,
                "filename": sent.filename,
                "purpose": form["purpose"],
                "status": "processed",
            }
        shape = {"width": 320, "height": 192, "frames": 40, "fps": 24.0}
        stored = (
            {"id": f"file-{len(fake.files) + 1}", "object": "file", "created_at": int(time.time())} | about | shape
        )
        fake.files.append(stored)
        return stored

    @app.get("/v1/files")
    def files() -> Any:
        return {"object": "list", "data": fake.files, "has_more": False}

    @app.get("/v1/files/{name}/content")
    def content(request: Request) -> Any:
        return part_of(fake.films["input"], request)

    @app.get("/v1/roots")
    def roots(path: str = "") -> Any:
        if not path:
            data = [{"path": "/data/videos", "name": "/data/videos", "folder": True, "bytes": 0}]
            return {"object": "list", "path": "", "parent": None, "data": data}
        names = ("street.mp4", "kitchen.mp4", "<i>dock</i>.mp4")
        data = [{"path": f"{path}/{name}", "name": name, "folder": False, "bytes": 1_240_000} for name in names]
        return {"object": "list", "path": path, "parent": "", "data": data}


def _queue_routes(app: FastAPI, fake: Fake) -> None:
    @app.get("/v1/queue")
    def queue() -> Any:
        return canned.queue(fake.videos, fake.mode, fake.unplanned)

    @app.post("/v1/queue/{verb}")
    def set_mode(verb: str) -> Any:
        fake.mode = {"pause": "paused", "resume": "running", "drain": "draining"}[verb]
        told = canned.queue(fake.videos, fake.mode)
        fake.tell("queue", mode=fake.mode, counts=told["counts"])
        return told

    @app.post("/v1/plan")
    def plan(body: dict[str, Any]) -> Any:
        return canned.plan(body["runs"])

    @app.get("/v1/stats")
    def stats(hours: int = 24) -> Any:
        return canned.stats(hours)

    @app.get("/v1/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(_stream(fake, len(fake.events)), media_type="text/event-stream")


async def _stream(fake: Fake, at: int) -> AsyncIterator[str]:
    yield ": hello\n\n"
    while True:
        for kind, news in fake.events[at:]:
            at += 1
            yield f"event: {kind}\ndata: {json.dumps(news)}\n\n"
        await asyncio.sleep(0.02)


class Served:
    """The stand-in server on a free port of this machine, in a thread, while it is entered."""

    def __init__(self, fake: Fake) -> None:
        config = uvicorn.Config(app_of(fake), port=0, log_level="critical", timeout_graceful_shutdown=0, ws="none")
        self._fake = fake
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Fake:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self._fake.url = f"http://127.0.0.1:{port}"
        return self._fake

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
