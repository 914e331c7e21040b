"""A real server with a worker on the simulated engine, for page tests: an archive, and a queue on request."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger, Submission
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Control, Run
from tests.support.http_server import PATIENCE, server
from tests.support.page.launcher import TRAITS
from tests.support.page.numbered_videos import HEIGHT, WIDTH, write_numbered_video

LAUNCHER = "tests.support.page.launcher"
HTML = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> a robot arm at dusk"
ANSI = "\x1b[31mred alert\x1b[0m: a forklift in a warehouse, rain on the skylights"
PROMPTS = (
    "A robot arm stacks blue crates in a bright warehouse, morning light through high windows",
    "The same kitchen at night, lit by one lamp, photorealistic",
    "Heavy rain on a city crossing, headlights mirrored in the asphalt, filmed from a moving car",
    HTML,
    "A snowy mountain road seen from a delivery van, long shadows, crisp winter air",
    ANSI,
)
MADE = tuple(f"made-{number:02}" for number in range(26))  # runs of the archive that succeeded
RATINGS = (None, 5, 4, None, 3)
FAILING = ("failed-1", "failed-2", "failed-3")
BLOCKED = "blocked-1"
CANCELLED = "cancelled-1"
QUICK, SLOW = 0.02, 0.3  # seconds per step: while a queue is arranged, and after that
LONG = 1000  # denoising steps of a run that does not end during a test
RETRIED = "retried-1"  # fails in a way that a retry may help
FAULTS = " ".join([*(f"{name}=FAIL" for name in FAILING), f"{BLOCKED}=BLOCK", f"{RETRIED}=FALTER"])
HEADERS = {"X-Requested-With": "cosmos-batch"}


@dataclass
class Site:
    """The server of the page tests, as its API client and its ledger reach it."""

    url: str
    home: ServiceHome
    videos: Path  # a folder that runs may name
    pace: Path  # seconds per denoising step
    client: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON answer of a GET request."""
        return self.client.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """Return the JSON answer of a POST request."""
        return self.client.post(path, json=body, headers=headers).raise_for_status().json()

    def video(self, name: str) -> Any:
        """Return a run as the API shows it."""
        return self.get(f"/v1/videos/{name}")

    def names(self, **query: Any) -> set[str]:
        """Return the ids of the runs that the API finds."""
        return {video["id"] for video in self.get("/v1/videos", limit=100, **query)["data"]}

    def submit(
        self,
        name: str,
        *,
        prompt: str = "fog over a harbour",
        weights: Mapping[str, float] | None = None,
        priority: str = "normal",
        **config: Any,
    ) -> None:
        """Submit a run of street.mp4."""
        settings = {"weights": dict(weights or {"edge": 1.0})} | config
        inputs = {"video": str(self.videos / "street.mp4")}
        body = {"id": name, "prompt": prompt, "inputs": inputs, "execution_config": settings, "priority": priority}
        self.post("/v1/videos", body)

    def submit_at(self, created: Mapping[str, float]) -> None:
        """Put runs into the ledger as submitted at these times (seconds since 1970)."""
        video = str(self.videos / "street.mp4")
        facts = {video: VideoInfo(width=WIDTH, height=HEIGHT, frames=40, fps=24.0)}
        for name, at in created.items():
            asked = Run(id=name, prompt="a pier", controls=(Control(name="edge", weight=1.0),), video=video)
            ledger = Ledger(self.home.ledger, lambda at=at: at)  # type: ignore[misc]
            ledger.runs.accept([Submission(resolve(asked, TRAITS, facts), facts)])
            ledger.close()

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Return what the condition returns, once that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, (self.get("/v1/queue"), condition)
            time.sleep(0.05)
        return found

    def wait_state(self, *states: str, names: set[str]) -> None:
        """Wait until the runs are in one of the states."""
        self.wait(lambda: names <= self.names(state=",".join(states)))

    def set_pace(self, seconds: float) -> None:
        """Let a denoising step take so long, from the present step on."""
        draft = self.pace.with_suffix(".new")
        draft.write_text(str(seconds))
        draft.replace(self.pace)

    def make_archive(self) -> None:
        """Let the worker make the runs of the archive: succeeded, failed, blocked and cancelled ones."""
        self.set_pace(0)
        for number, name in enumerate(MADE):
            weights = {"edge": round(0.3 + 0.1 * (number % 5), 2), "depth": 0.5 if number % 2 else 0.0}
            self.submit(
                name, prompt=PROMPTS[number % len(PROMPTS)], weights=weights, seed=42 + number, num_frames=24
            )
        self.submit(FAILING[0], prompt=ANSI)
        self.submit(BLOCKED, prompt="A portrait of a person")
        self.wait_state("succeeded", names=set(MADE))
        self.wait_state("failed", "blocked", names={FAILING[0], BLOCKED})
        self.post("/v1/queue/pause")
        self.submit(CANCELLED)
        self.post(f"/v1/videos/{CANCELLED}/cancel")
        self.reset()

    def reset(self) -> None:
        """Remove every run but the archive's, undo changes of ratings, and let the queue run."""
        self.set_pace(0)
        self.post("/v1/queue/pause")
        kept = {*MADE, FAILING[0], BLOCKED, CANCELLED}
        for name in self.names(state="queued,leased,running,preempted"):
            self.client.post(f"/v1/videos/{name}/cancel")
        self.wait(lambda: not self.names(state="queued,leased,running,preempted"))
        for name in self.names() - kept:
            self.client.delete(f"/v1/videos/{name}").raise_for_status()
        found = {video["id"]: video["rating"] for video in self.get("/v1/videos", limit=100)["data"]}
        for name, rating in zip(MADE, itertools.cycle(RATINGS), strict=False):
            if found[name] != rating:
                self.post(f"/v1/videos/{name}/rating", {"rating": rating})
        self.post("/v1/queue/resume")

    def fill_queue(self, *, preempted: bool = False, planned: bool = True) -> None:
        """Arrange a queue: two running runs, and three waiting ones.

        `preempted`: one more run is preempted; `planned`: wait until the worker has reported its plan of them.
        """
        self.set_pace(QUICK)
        for name in ("running-1", "running-2"):
            self.submit(name, prompt=PROMPTS[4], num_steps=LONG, weights={"edge": 0.5})
        self.wait_state("running", names={"running-1", "running-2"})
        if preempted:
            self.submit("running-3", prompt=PROMPTS[1], num_steps=LONG, priority="urgent")
            self.wait(lambda: self.names(state="preempted"))
        self.submit("waiting-1", prompt=HTML, num_steps=LONG)
        self.submit("waiting-2", prompt=ANSI, num_steps=LONG, priority="high")
        self.submit("waiting-3", prompt=PROMPTS[2], num_steps=LONG, weights={"depth": 0.5, "edge": 0.5})
        self.set_pace(SLOW)
        if planned:
            self.wait(lambda: {"waiting-1", "waiting-2", "waiting-3"} <= self.planned())

    def planned(self) -> set[str]:
        """Return the ids of the runs in the groups of the plan."""
        groups = self.get("/v1/queue")["groups"]
        return {run["id"] for group in groups for batch in group["batches"] for run in batch["runs"]}


@contextmanager
def page_site(root: Path) -> Iterator[Site]:
    """Run the server of the page tests, with its archive."""
    videos = root / "inputs"
    videos.mkdir()
    for name in ("street.mp4", "<i>dock.mp4"):
        write_numbered_video(videos / name, frames=40, fps=24, colour=(90, 120, 150))
    write_numbered_video(videos / "short.mp4", frames=16, fps=24, colour=(90, 120, 150))
    pace = root / "pace"
    pace.write_text("0")
    options = ("--flush-seconds", "0.1", "--max-failures", "4", "--max-batch", "2", "--root", str(videos))
    with (
        server(
            root / "home", *options, launcher=LAUNCHER, PAGE_PACE=str(pace), REPLAY_STEP="1", REPLAY_FAULTS=FAULTS
        ) as url,
        httpx.Client(base_url=url, headers=HEADERS, timeout=PATIENCE) as client,
    ):
        site = Site(url, ServiceHome(root / "home"), videos, pace, client)
        site.make_archive()
        yield site
