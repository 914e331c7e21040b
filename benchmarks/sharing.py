"""How evenly several workers share a short queue: `python -m benchmarks.sharing [--step 0.5]`.

A service on SQLite with a simulated engine and one run a batch executes the same runs with one worker, and then
with several. The runs are submitted once every worker has executed one, and the time ends with the last of them.
The standard scenario is ten runs whose lengths in steps have the ratios of its videos at 832x480. The bound is the
longest run, or the workers' share of all steps if that is more: no order is faster.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stage import make_run
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.process import PARENT
from cosmos_batch.ledger import ENDED, Ledger, State, Submission
from cosmos_batch.run import ResolvedRun
from tests.support.dispatch_world import make_input

SCENARIO = (*[14] * 6, *[16] * 3, 20)  # steps of each run
MIX = (8, 8, 30, 12, 8, 20, 12, 8, 30, 8, 12, 20, 8, 8, 12, 20)
LONGEST = 600.0  # seconds that any queue may take
CASES = (("the standard scenario", SCENARIO, 2), ("16 runs of 8 to 30 steps", MIX, 3))


@contextmanager
def service(place: Path, workers: int, step: float) -> Iterator[Ledger]:
    """Start a service with `workers` workers; yields its ledger."""
    home = ServiceHome(place / "home")
    home.make()
    environment = os.environ | {
        "STAGE_STEP": str(step),
        "STAGE_WORKERS": str(workers),
        "STAGE_MOST": "1",
        PARENT: str(os.getpid()),
    }
    command = [sys.executable, "-m", "benchmarks.stage", "serve", str(home.root)]
    ledger = Ledger(home.ledger)
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            yield ledger
        finally:
            server.terminate()
            server.wait()
            ledger.close()


def made(ledger: Ledger, runs: Sequence[ResolvedRun]) -> float:
    """Submit the runs and return the seconds until all have succeeded."""
    begin = time.perf_counter()
    ledger.runs.accept([Submission(run) for run in runs])
    while any(ledger.queries.states().get(state, 0) for state in State if state not in ENDED):
        if time.perf_counter() - begin > LONGEST:
            raise TimeoutError(f"{len(runs)} runs are not made in {LONGEST:.0f} s")
        time.sleep(0.01)
    seconds = time.perf_counter() - begin
    failed = sum(ledger.queries.states().get(state, 0) for state in ENDED if state is not State.SUCCEEDED)
    if failed:
        raise RuntimeError(f"{failed} runs were not made")
    return seconds


def measure(steps: Sequence[int], workers: int, step: float) -> float:
    """Seconds in which `workers` workers execute runs of these numbers of steps."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), workers, step) as ledger:
        video = make_input(Path(folder) / "in.mp4")
        made(ledger, [make_run(f"warm{index}", video, steps=4) for index in range(2 * workers)])
        return made(ledger, [make_run(f"run{index}", video, steps=count) for index, count in enumerate(steps)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How evenly several workers share a short queue.")
    parser.add_argument("--step", type=float, default=0.5, help="seconds of a denoising step")
    step = parser.parse_args().step
    print("| queue | workers | one, s | several, s | times | over the bound |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name, steps, workers in CASES:
        alone, together = (measure(steps, count, step) for count in (1, workers))
        bound = step * max(*steps, sum(steps) / workers)
        cells = (name, workers, f"{alone:.1f}", f"{together:.1f}", f"{alone / together:.2f}")
        print(f"| {' | '.join(map(str, cells))} | {together / bound - 1:.1%} |", flush=True)


if __name__ == "__main__":
    main()
