"""A service with the simulated engine: `python -m benchmarks.stage serve HOME`, which starts `... worker HOME N`.

The simulated engine runs on real time and writes real videos of two frames, each in its run's own colour. The
environment configures it: STAGE_STEP and STAGE_LOAD are the seconds of a denoising step and of a model load,
STAGE_BUSY is the time for which the service waits for a locked ledger, STAGE_WORKERS the number of workers,
STAGE_MOST the maximum of runs in a batch. A file HOME/full stands for a full disk. A run whose prompt begins with
"poison" kills its worker as its video is written, one whose prompt begins with "broken" fails there.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

from cosmos_batch.controls import ControlName
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher
from cosmos_batch.dispatch.worker.process import end_with_parent, run_worker
from cosmos_batch.dispatch.worker.retry import retry_until_available
from cosmos_batch.dispatch.worker.supervisor import OnStart, Supervisor
from cosmos_batch.dispatch.worker.worker import LoadedEngine, WorkerSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import RealClock, SimulatedBehaviour, SimulatedEngine
from cosmos_batch.errors import EngineError, StorageError
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, ResolvedSampling
from tests.support.dispatch_world import FACTS, TRAITS, write_answer

PRIOR = replace(CostModel.free("replay", "stage"), load=0.1, batch=0.01, step=0.01, token=1e-4)


def make_run(
    run_id: str, video: Path, *, control: ControlName = "edge", steps: int = 4, priority: int = 0, prompt: str = ""
) -> ResolvedRun:
    """A resolved run."""
    return ResolvedRun(
        id=run_id,
        prompt=prompt or f"street {run_id}",
        controls=(Control(name=control, weight=1.0, video=str(video)),),
        video=str(video),
        sampling=ResolvedSampling(
            num_steps=steps,
            guidance=3.0,
            sigma_max=80.0,
            seed=1,
            fps=FACTS.fps,
            num_frames=FACTS.frames,
            resolution=f"{FACTS.width}x{FACTS.height}",
            negative_prompt="blurry",
        ),
        priority=priority,
    )


class StageBehaviour:
    """Writes videos and injects the faults that prompts ask for."""

    def __init__(self, home: ServiceHome, step: float) -> None:
        self._home = home
        self._step = step

    def write(self, job: Job, shape: Shape) -> None:
        """Write a run's video, unless the disk is full or the prompt asks for a fault."""
        if job.run.prompt.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.run.prompt.startswith("broken"):
            raise EngineError("this run cannot be made")
        if (self._home.root / "full").exists():
            raise StorageError(f"the output folder {self._home.videos} is on a full disk; free some space")
        write_answer(job, shape)

    def step_seconds(self, _runs: int) -> float:
        """Seconds of a step, for any number of runs."""
        return self._step


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(name, default))


def be_worker(home: ServiceHome, number: int) -> int:
    """Run one of the service's workers."""
    behaviour = StageBehaviour(home, _seconds("STAGE_STEP", 0.01))
    most = os.environ.get("STAGE_MOST")
    script = SimulatedBehaviour(behaviour.write, _seconds("STAGE_LOAD", 0.0), behaviour.step_seconds, lag=1)
    service = WorkerSettings(
        SchedulerSettings(rules=FlushRules(seconds=1.0, runs=32, quiet=0.1)),
        DispatchSettings(
            save_every=0.0, retry_wait=0.2, lease=20.0, guarded=True, max_batch=int(most) if most else None
        ),
        poll=0.02,
        longest_trouble=0.5,
        forecast_every=1.0,
    )

    def load_engine() -> LoadedEngine:
        return LoadedEngine(SimulatedEngine(TRAITS, script, RealClock()), PRIOR)

    return run_worker(home, number, load_engine, service, busy=_seconds("STAGE_BUSY", 15.0))


def be_server(home: ServiceHome) -> int:
    """Run the service until a signal ends it."""
    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    end_with_parent()

    def command(number: int) -> list[str]:
        return [sys.executable, "-m", "benchmarks.stage", "worker", str(home.root), str(number)]

    home.make()
    busy = _seconds("STAGE_BUSY", 15.0)
    ledger = retry_until_available(lambda: Ledger(home.ledger, busy=busy), EventLog(sys.stderr))
    workers = int(os.environ.get("STAGE_WORKERS", "1"))
    launcher = LocalWorkerLauncher(home, command, grace=10.0)
    with Supervisor(home, ledger, launcher, workers=workers, on_start=OnStart.KEEP):
        over.wait()
    ledger.close()
    return 0


def main() -> int:
    """Run the server or a worker."""
    parser = argparse.ArgumentParser(description="A service with the simulated engine.")
    parser.add_argument("part", choices=("serve", "worker"))
    parser.add_argument("home", type=Path)
    parser.add_argument("number", type=int, nargs="?", default=0)
    options = parser.parse_args()
    home = ServiceHome(options.home)
    return be_server(home) if options.part == "serve" else be_worker(home, options.number)


if __name__ == "__main__":
    raise SystemExit(main())
