"""Speed of the queue without HTTP: submitting, claiming, replanning, idle time, and preemption by urgent runs.

    python -m benchmarks.dispatching [--waiting 100000]

Everything runs on SQLite in a temporary folder, with the simulated engine. Replanning is timed with runs of mixed
control sets and sizes in the ledger, some of them new. The idle share is the share of the time in which runs were
ready and the engine did not compute: between two batches, between two steps, and while videos are verified and
published. It is measured at several lengths of a denoising step, because dispatching takes the same time at each.
The delay of an urgent run is counted in steps that began after its arrival and before its own first step.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread

from benchmarks.stage import PRIOR, make_run
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import OUTPUT, OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.queue_reader import LedgerQueueReader
from cosmos_batch.dispatch.worker.worker import LoadedEngine, Worker, WorkerPlace, WorkerSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import RealClock, SimulatedBehaviour, SimulatedEngine
from cosmos_batch.ledger import ENDED, BatchFacts, Ledger, State, Submission
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority, ResolvedRun
from tests.support.dispatch_world import TRAITS

CLIENTS = 8
SECONDS = 5.0  # of submitting
STEPS = 35  # of a run
BACKLOGS = {0.05: 120, 0.25: 40, 1.0: 16}  # runs that wait at first, by the seconds of a step of any batch
URGENT = 6  # urgent runs that arrive meanwhile, each with three others


def stamp(job: Job, _shape: Shape) -> None:
    """Write a stand-in for a video."""
    (job.folder / OUTPUT).write_text(job.run.fingerprint)


def accept_all(run: ResolvedRun, shape: Shape, job: Job) -> None:
    """Accept every output: the queue is measured."""


def draw_run(index: int, video: Path, dice: random.Random) -> ResolvedRun:
    """Draw a run of the mix."""
    run = make_run(f"run{index:06}", video, control=dice.choice(("edge", "vis", "depth", "seg")), steps=STEPS)
    size = dice.choice(("32x32", "48x48", "64x32"))
    return replace(run, sampling=replace(run.sampling, resolution=size, seed=dice.randrange(100)))


def measure_submitting(folder: Path, seconds: float = SECONDS) -> dict[str, float]:
    """Measure submissions by threads, each with one run per call."""
    ledger = Ledger(folder / "submit.sqlite")
    delays: list[float] = []
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        index = 0
        while (began := time.perf_counter()) < until:
            run = make_run(f"c{number}-{index}", folder / "in.mp4")
            ledger.runs.accept([Submission(run, key=run.id)])
            delays.append(time.perf_counter() - began)
            index += 1

    threads = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    delays.sort()
    return {
        "submissions per second": len(delays) / seconds,
        "p99 of a submission, ms": 1000 * delays[int(0.99 * len(delays))],
    }


def measure_claiming(folder: Path, count: int = 2000) -> dict[str, float]:
    """Measure one worker that claims, begins and finishes batches of eight."""
    ledger = Ledger(folder / "claim.sqlite")
    ledger.runs.accept([Submission(make_run(f"r{index}", folder / "in.mp4")) for index in range(count)])
    facts = BatchFacts("replay", Shape(32, 32, 2), 1.0, 0)
    began = time.perf_counter()
    for start in range(0, count, 8):
        claim = ledger.queue.claim([f"r{index}" for index in range(start, min(start + 8, count))], facts, "w", 60)
        assert claim is not None
        ledger.attempts.begin(list(claim.attempts))
        for attempt in claim.attempts.values():
            ledger.attempts.finish(attempt, State.SUCCEEDED)
        ledger.attempts.end_batch(claim.batch)
    seconds = time.perf_counter() - began
    ledger.close()
    return {"runs claimed, begun and finished per second": count / seconds}


def measure_planning(folder: Path, waiting: int) -> dict[str, float]:
    """Measure a worker's first plan of all waiting runs, and its next plans after a few more arrived."""
    ledger = Ledger(folder / "plan.sqlite")
    dice = random.Random(0)
    for start in range(0, waiting, 10_000):
        upto = min(start + 10_000, waiting)
        ledger.runs.accept([Submission(draw_run(index, folder / "in.mp4", dice)) for index in range(start, upto)])
    runs = WaitingRuns(LedgerQueueReader(ledger, "w"), TRAITS)
    costs = MeasurementLog(ledger, PRIOR, TRAITS, None)
    queue = PlannedQueue(runs, TRAITS, PRIOR, costs, SchedulerSettings())

    def plan() -> float:
        began = time.perf_counter()
        queue.refresh(ledger.queue.poll().latest)
        queue.plan()
        return time.perf_counter() - began

    first = plan()
    again = []
    for more in range(3):
        fresh = [draw_run(waiting + 100 * more + index, folder / "in.mp4", dice) for index in range(100)]
        ledger.runs.accept([Submission(run) for run in fresh])
        again.append(plan())
    ledger.close()
    return {
        f"first plan of {waiting:,} waiting runs, s": first,
        f"replanning {waiting:,} waiting runs, s": statistics.median(again),
    }


class ObservedService:
    """A worker of a service in this process, on real time, that records its steps."""

    def __init__(self, folder: Path, step_seconds: float) -> None:
        self.home = ServiceHome(folder)
        self.home.make()
        with OutputDirectory(self.home.videos):
            pass
        self.ledger = Ledger(self.home.ledger)
        self.steps: list[float] = []  # when each began
        self._step_seconds = step_seconds
        script = SimulatedBehaviour(stamp, 0.0, self._step)
        self.worker = Worker(
            LoadedEngine(SimulatedEngine(TRAITS, script, RealClock()), PRIOR),
            WorkerPlace(
                "w",
                OutputDirectory(self.home.videos, shared=True),
                self.ledger,
                InflightMarker(self.home.marker(0), "w"),
                EventLog(io.StringIO()),
            ),
            WorkerSettings(dispatch=DispatchSettings(save_every=20.0, guarded=True)),
            accept_all,
        )
        self._thread = Thread(target=self.worker.run)
        self._thread.start()

    def _step(self, _runs: int) -> float:
        self.steps.append(time.time())
        return self._step_seconds

    def finish(self) -> None:
        """Wait until every run has ended, and stop."""
        while not set(self.ledger.queries.states()) <= set(ENDED):
            time.sleep(0.05)
        self.worker.stop.request()
        self._thread.join()


def measure_working(folder: Path, step: float, backlog: int) -> dict[str, float]:
    """Measure a backlog while further runs arrive, some of them urgent."""
    folder = folder / f"working-{step}"
    folder.mkdir()
    video = folder / "in.mp4"
    video.write_bytes(b"input")
    service = ObservedService(folder / "home", step)
    service.ledger.runs.accept([Submission(make_run(f"r{index}", video, steps=STEPS)) for index in range(backlog)])
    arrived = {}
    for index in range(URGENT):
        time.sleep(backlog * STEPS * step / 8 / URGENT)
        urgent = make_run(f"u{index}", video, steps=5, priority=Priority.URGENT)
        service.ledger.runs.accept([Submission(urgent)])
        arrived[urgent.id] = time.time()
        service.ledger.runs.accept([Submission(make_run(f"s{index}-{n}", video, steps=STEPS)) for n in range(3)])
    service.finish()
    counters = service.ledger.measurements.counters()
    busy, idle = counters["engine_seconds", ""], counters["idle_seconds", ""]
    delays = [_steps_before(service, run_id, at) for run_id, at in arrived.items()]
    runs, steps = sum(service.ledger.queries.states().values()), len(service.steps)
    service.ledger.close()
    at = f"at {step:g} s a step"
    return {
        f"idle share of the engine {at} ({runs} runs, {steps} steps), %": 100 * idle / (busy + idle),
        f"steps begun between an urgent run's arrival and its own first {at}, at most": max(delays),
    }


def measure_steps(folder: Path, runs: int = 16, steps: int = 900) -> dict[str, float]:
    """Measure the processor time of a step of eight runs whose engine takes none itself."""
    folder = folder / "steps"
    folder.mkdir()
    video = folder / "in.mp4"
    video.write_bytes(b"input")
    service = ObservedService(folder / "home", 0.0)
    began = time.process_time()
    service.ledger.runs.accept([Submission(make_run(f"r{index}", video, steps=steps)) for index in range(runs)])
    service.finish()
    seconds = time.process_time() - began
    service.ledger.close()
    return {"processor time of dispatching a step of eight runs, ms": 1000 * seconds / len(service.steps)}


def _steps_before(service: ObservedService, run_id: str, arrived: float) -> int:
    began = next(change.at for change in service.ledger.queries.history(run_id) if change.state is State.RUNNING)
    return sum(arrived < at < began for at in service.steps)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the queue without HTTP.")
    parser.add_argument("--waiting", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        measures = [
            partial(measure_submitting, folder),
            partial(measure_claiming, folder),
            partial(measure_planning, folder, options.waiting),
            partial(measure_steps, folder),
            *(partial(measure_working, folder, step, backlog) for step, backlog in BACKLOGS.items()),
        ]
        for measure in measures:
            for name, value in measure().items():
                print(f"{name}: {value:.4g}", flush=True)


if __name__ == "__main__":
    main()
