"""Kills a service at random instants, under load, and then checks every run.

    python -m benchmarks.faults [--kills 200] [--seed 0] [--workers 2]

A real server process with real worker processes makes real, tiny videos, each in its run's own colour. Meanwhile
runs are submitted, some urgent, and some cancelled; workers and sometimes the server are killed with SIGKILL; the
ledger is kept locked for longer than the service waits, the disk is full, and the output folder is missing for a
while. In the end every run must have its one expected outcome, and every video must be that of its run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.stage import make_run
from cosmos_batch.dispatch.output.directory import HOME, OUTPUT
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import STARTING, read_inflight
from cosmos_batch.dispatch.worker.process import PARENT
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.ledger import ENDED, Ledger, State, Submission
from cosmos_batch.media.verify import check_video
from cosmos_batch.media.video import read_frames
from cosmos_batch.run import Priority, ResolvedRun
from tests.support.dispatch_world import FACTS, colour_of, make_input

BUSY = 0.5  # seconds for which the service waits for a locked ledger
STEP = 0.01  # seconds of a denoising step
BACKLOG = 60  # runs that are kept waiting
LONGEST = 240.0  # seconds that the rest may take after the last fault


@dataclass
class Report:
    """The faults that were injected, and their consequences."""

    submitted: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)  # runs without their expected outcome
    duplicated: list[str] = field(default_factory=list)  # runs that succeeded more than once
    wrong: list[str] = field(default_factory=list)  # videos of another run
    leftovers: list[str] = field(default_factory=list)  # working folders that were not removed
    orphans: list[int] = field(default_factory=list)  # workers that outlived their server
    resumed: int = 0  # attempts that a crash ended
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether no run was lost, duplicated or mixed up."""
        return not (self.lost or self.duplicated or self.wrong or self.leftovers or self.orphans)

    def __str__(self) -> str:
        lines = [
            f"runs submitted   {self.submitted}: " + counted(self.states),
            f"kills            {sum(self.kills.values())}: " + counted(self.kills),
            f"other faults     {sum(self.faults.values())}: " + counted(self.faults),
            f"attempts cut off {self.resumed}",
            f"lost             {len(self.lost)} {' '.join(self.lost[:5])}",
            f"duplicated       {len(self.duplicated)} {' '.join(self.duplicated[:5])}",
            f"wrong            {len(self.wrong)} {' '.join(self.wrong[:5])}",
            f"left behind      {len(self.leftovers)} folders, {len(self.orphans)} processes",
            f"seconds          {self.seconds:.0f}",
        ]
        return "\n".join(lines)


def counted(counter: Counter[str]) -> str:
    """Counts as a line of text."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "none"


class FaultScenario:
    """A service under load, and the faults injected into it."""

    def __init__(self, root: Path, seed: int, workers: int) -> None:
        self.home = ServiceHome(root / "home")
        self.home.make()
        self.ledger = Ledger(self.home.ledger)
        self.video = make_input(root / "in.mp4")
        self.dice = random.Random(seed)
        self.report = Report()
        self.runs: dict[str, ResolvedRun] = {}
        self.cancelled: set[str] = set()
        self._workers = workers
        self._log = (root / "service.log").open("wb")
        self._server = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "STAGE_BUSY": str(BUSY),
            "STAGE_STEP": str(STEP),
            "STAGE_WORKERS": str(self._workers),
            PARENT: str(os.getpid()),  # so that the service ends when this process is killed
        }
        command = [sys.executable, "-m", "benchmarks.stage", "serve", str(self.home.root)]
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=self._log)

    def stop(self) -> None:
        """End the service as a user does."""
        self._server.send_signal(signal.SIGTERM)
        self._wait_for_server()
        self._log.close()
        self.ledger.close()

    def _wait_for_server(self) -> None:
        """Wait until the server has ended, and only then close the pipe that ties it to this process."""
        self._server.wait(60)
        assert self._server.stdin is not None
        self._server.stdin.close()

    def load(self) -> None:
        """Keep runs waiting, some of them urgent; cancel some."""
        waiting = sum(self.ledger.queries.states().get(state, 0) for state in (State.QUEUED, State.PREEMPTED))
        fresh = [self._draw_run() for _ in range(max(0, BACKLOG - waiting))]
        self.runs |= {run.id: run for run in fresh}
        self.ledger.runs.accept([Submission(run, key=f"key-{run.id}") for run in fresh])
        self.ledger.runs.accept(
            [Submission(run, key=f"key-{run.id}") for run in fresh[:3]]
        )  # a repeated submission makes no second run
        if self.dice.random() < 0.3:
            chosen = self.dice.choice(list(self.runs))
            states = self.ledger.runs.cancel([chosen])
            if states[chosen] not in ENDED or states[chosen] is State.CANCELLED:
                self.cancelled.add(chosen)

    def _draw_run(self) -> ResolvedRun:
        number = self.report.submitted
        self.report.submitted += 1
        urgent = self.dice.random() < 0.05
        run_id = f"r{number:05}"
        return make_run(
            run_id,
            self.video,
            control=self.dice.choice(("edge", "vis", "depth")),
            steps=self.dice.randint(2, 8),
            priority=Priority.URGENT if urgent else Priority.NORMAL,
            prompt=f"broken {run_id}" if self.dice.random() < 0.01 else "",
        )

    def wait_for_worker(self) -> None:
        """Wait until a worker has started, in 95 % of the calls: a starting worker may be killed, too."""
        until = time.monotonic() + (30.0 if self.dice.random() < 0.95 else 0.0)
        while not self._busy_workers() and time.monotonic() < until:
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill a busy worker, or in 15 % of the calls the server with all workers."""
        pids = self._busy_workers()
        if pids and self.dice.random() < 0.85:
            os.kill(self.dice.choice(pids), signal.SIGKILL)
            self.report.kills["worker"] += 1
        else:
            self._server.kill()
            self._wait_for_server()
            self.report.kills["server"] += 1
            self._server = self._start()

    def _busy_workers(self) -> list[int]:
        boxes = [read_inflight(self.home.marker(number)) for number in range(self._workers)]
        pids = [int(box.worker.split(":")[1]) for box in boxes if box.worker and box.phase != STARTING]
        return [pid for pid in pids if is_worker(pid)]

    def disturb(self) -> None:
        """Inject another fault for a while."""
        fault = self.dice.choice(("ledger locked", "disk full", "folder gone"))
        if fault == "ledger locked":
            self._lock_ledger()
        elif fault == "disk full":
            (self.home.root / "full").touch()
            time.sleep(0.7)
            (self.home.root / "full").unlink()
        elif self._busy_workers():
            self._take_folder_away()
        self.report.faults[fault] += 1

    def _lock_ledger(self) -> None:
        holder = sqlite3.connect(self.home.ledger, isolation_level=None, timeout=30)
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(3 * BUSY)
        holder.execute("ROLLBACK")
        holder.close()

    def _take_folder_away(self) -> None:
        elsewhere = self.home.videos.with_name("elsewhere")
        self.home.videos.rename(elsewhere)
        time.sleep(0.5)
        elsewhere.rename(self.home.videos)

    def settle(self) -> None:
        """Wait until the service has finished every run."""
        until = time.monotonic() + LONGEST
        while set(self.ledger.queries.states()) - set(ENDED) and time.monotonic() < until:
            time.sleep(0.2)

    def judge(self) -> Report:
        """Check every run."""
        for run in self.runs.values():
            self._judge(run)
        left = [*(self.home.videos / HOME / "work").iterdir(), *(self.home.videos / HOME / "state").iterdir()]
        self.report.leftovers = [str(path) for path in left]
        self.report.orphans = [pid for pid in all_processes() if is_worker(pid, self.home)]
        return self.report

    def _judge(self, run: ResolvedRun) -> None:
        record = self.ledger.queries.get(run.id)
        state = record.state if record else None
        self.report.states[str(state)] += 1
        expected = {State.FAILED} if run.prompt.startswith("broken") else {State.SUCCEEDED}
        if run.id in self.cancelled:
            expected |= {State.CANCELLED}
        if state not in expected:
            self.report.lost.append(f"{run.id}:{state}:{record.cause if record else ''}")
        attempts = self.ledger.queries.attempts(run.id)
        self.report.resumed += sum(attempt.outcome in (State.QUEUED, State.PREEMPTED) for attempt in attempts)
        if sum(attempt.outcome is State.SUCCEEDED for attempt in attempts) > 1:
            self.report.duplicated.append(run.id)
        published = (self.home.videos / run.id).exists()
        if state is State.SUCCEEDED and not self._is_own(run):
            self.report.wrong.append(run.id)
        if state is State.FAILED and published:
            self.report.wrong.append(run.id)

    def _is_own(self, run: ResolvedRun) -> bool:
        path = self.home.videos / run.id / OUTPUT
        try:
            check_video(
                path,
                frames=FACTS.frames,
                width=FACTS.width,
                height=FACTS.height,
                fps=FACTS.fps,
                fingerprint=run.fingerprint,
            )
            shown = read_frames(path).mean(axis=(0, 1, 2))
        except CosmosBatchError:
            return False
        return bool(np.abs(shown - colour_of(run)).max() < 12)  # tolerance of the codec


def all_processes() -> list[int]:
    """Ids of all processes, where the system lists them."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def is_worker(pid: int, home: ServiceHome | None = None) -> bool:
    """Whether a process is a live worker, of that home if one is named."""
    try:
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"benchmarks.stage" in words and (home is None or str(home.root).encode() in words)


def attack(root: Path, kills: int, seed: int = 0, workers: int = 2, disturb: float = 0.05) -> Report:
    """Kill so many times, then check; `disturb` is the share of rounds with another fault."""
    started = time.monotonic()
    scenario = FaultScenario(root, seed, workers)
    try:
        while sum(scenario.report.kills.values()) < kills:
            scenario.load()
            scenario.wait_for_worker()
            time.sleep(scenario.dice.random() * 0.6)
            scenario.kill()
            if scenario.dice.random() < disturb:
                scenario.disturb()
        scenario.settle()
    finally:
        scenario.stop()
        scenario.ledger = Ledger(scenario.home.ledger)
    report = scenario.judge()
    scenario.ledger.close()
    report.seconds = time.monotonic() - started
    return report


def main() -> int:
    """Attack, and print the report."""
    parser = argparse.ArgumentParser(description="Kills a service under load, and checks every run.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the service, which stays")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True)
        report = attack(options.keep, options.kills, options.seed, options.workers)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = attack(Path(folder), options.kills, options.seed, options.workers)
    print(report)
    return 0 if report.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
