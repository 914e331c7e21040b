"""A ledger with thousands of finished runs of one sweep, put there without making their videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Annotations, Control, Run, Sampling
from tests.support.http_server import server
from tests.support.page.launcher import TRAITS
from tests.support.page.numbered_videos import HEIGHT, WIDTH, write_numbered_video
from tests.support.page.site import LAUNCHER

CLIPS, PROMPTS, FAILED = 20, 15, 25  # one run of `FAILED` has failed
LIGHT = ("dawn", "noon", "night")


@dataclass(frozen=True)
class Archive:
    """A server with many finished runs."""

    url: str
    ledger: Ledger
    names: tuple[str, ...]  # ids, in the order of their submission


@contextmanager
def archive_site(root: Path, count: int) -> Iterator[Archive]:
    """Run a server with so many runs, of 20 clips and 15 prompts; its queue is paused."""
    home = ServiceHome(root / "home")
    home.make()
    videos = root / "clips"
    videos.mkdir()
    film = write_numbered_video(videos / "clip0.mp4", frames=24, fps=8, colour=(150, 110, 80))
    names = tuple(f"clip{n // 3 % CLIPS}-p{n // 3 // CLIPS % PROMPTS}-s{n}" for n in range(count))
    for clip in range(1, CLIPS):
        os.link(film, videos / f"clip{clip}.mp4")
    for name in names:
        folder = home.videos / name
        folder.mkdir(parents=True)
        os.link(film, folder / "output.mp4")
    ledger = Ledger(home.ledger)
    fill(ledger, names, videos)
    pace = root / "pace"
    pace.write_text("0")
    options = ("--root", str(videos), "--on-start", "pause")
    with server(home.root, *options, launcher=LAUNCHER, PAGE_PACE=str(pace), REPLAY_STEP="1") as url:
        yield Archive(url, ledger, names)
    ledger.close()


def fill(ledger: Ledger, names: tuple[str, ...], videos: Path) -> None:
    """Put the runs into the ledger: succeeded with scores, and some failed."""
    ledger.runs.accept([submission(name, n, videos) for n, name in enumerate(names)])
    failed = [name for n, name in enumerate(names) if n % FAILED == FAILED - 1]
    made = sorted(set(names) - set(failed))
    ledger.runs.set_state(made, State.SUCCEEDED, "")
    ledger.runs.set_state(failed, State.FAILED, "the engine ran out of memory")
    scores = {name: {"edge_f1": score(n), "blur_ssim": 0.9, "black": 0.0} for n, name in enumerate(names)}
    ledger.runs.set_scores({name: scores[name] for name in made})


def score(number: int) -> float:
    """The edge score of a run: spread evenly over 0 to 1."""
    return number * 7919 % 1000 / 1000


def submission(name: str, number: int, videos: Path) -> Submission:
    """The request of one run."""
    video = str(videos / f"clip{number // 3 % CLIPS}.mp4")
    facts = {video: VideoInfo(width=WIDTH, height=HEIGHT, frames=24, fps=8.0)}
    prompt = number // 3 // CLIPS % PROMPTS
    run = Run(
        id=name,
        prompt=f"Prompt {prompt}: a robot arm stacks crates in a warehouse, seen from the {prompt}th camera",
        controls=(Control(name="edge", weight=1.0),),
        video=video,
        sampling=Sampling(seed=number % 3, num_frames=24),
        annotations=Annotations(sweep="warehouse", tags={"light": LIGHT[prompt % 3]}),
    )
    return Submission(resolve(run, TRAITS, facts), facts)
