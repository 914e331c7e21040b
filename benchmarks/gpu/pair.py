"""Speed of several GPUs: `python -m benchmarks.gpu.pair MODEL`, with a model of `benchmarks.gpu.folder`.

First, the standard scenario by `cosmos-batch serve` with one worker, and with one for every GPU: seconds from the
first submission to the end of the last run, after every worker has made a video. The times at which each run began
and ended are written to stderr. Then one video at 1280x704, on one GPU and with its two guidance passes on two:
seconds of a step.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu.command_runner import CommandRunner
from benchmarks.gpu.measuring import COMMAND
from benchmarks.gpu.size import Size
from benchmarks.gpu.standard_scenario import RUNS
from benchmarks.gpu.videos import RunSpec, write_runs
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.options import Options

PORT = 8123


@dataclass(frozen=True)
class Service:
    """How a service is started."""

    model: Path | None  # None: the command's default
    program: Sequence[str] = COMMAND  # of `cosmos-batch`
    port: int = PORT

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"


def command(program: Sequence[str], *words: object) -> str:
    """Execute a `cosmos-batch` command and return its output. Raises CalledProcessError where it fails."""
    done = subprocess.run([*program, *map(str, words)], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def served(service: Service, home: Path, videos: Path, workers: int) -> Iterator[None]:
    """Run a service."""
    words = ["serve", home, "--workers", workers, "--root", videos, "--port", service.port]
    words += ["--model", service.model] if service.model else []
    words += ["--flush-seconds", 0, "--on-start", "run"]
    with subprocess.Popen([*service.program, *map(str, words)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()  # printed when the service listens
        try:
            yield
        finally:
            server.terminate()


def finished(service: Service, file: Path, specs: Sequence[RunSpec]) -> float:
    """Submit these runs; seconds until all have succeeded. Raises CalledProcessError."""
    begin = time.perf_counter()
    command(service.program, "submit", file, "--server", service.address, "--in-place")
    command(service.program, "watch", *(spec.id for spec in specs), "--server", service.address)
    return time.perf_counter() - begin


def scenario(service: Service, work: Path, size: Size, steps: int, workers: int) -> float:
    """Seconds of the scenario's ten runs."""
    folder = work / f"workers{workers}"
    warm = [RunSpec(f"warm{i}", ("edge",), size, 2, 100 + i) for i in range(2 * workers)]
    runs = [RunSpec(f"run{i}", names, size, steps, 1 + i) for i, names in enumerate(RUNS)]
    files = [write_runs(folder, name, specs) for name, specs in (("warm", warm), ("runs", runs))]
    with served(service, folder / "home", folder, workers):
        finished(service, files[0], warm)
        begin = time.time()
        seconds = finished(service, files[1], runs)
        print_times(folder / "home", runs, begin)
        return seconds


def print_times(home: Path, runs: Sequence[RunSpec], begin: float) -> None:
    """Print when each run began and ended, in seconds after `begin`, from its record."""
    records = [json.loads((home / "videos" / run.id / "run.json").read_text()) for run in runs]
    for record in sorted(records, key=lambda record: record["started"]):
        at = "{:7.2f} to {:7.2f}".format(record["started"] - begin, record["ended"] - begin)
        print(f"{at}  {record['id']}", file=sys.stderr, flush=True)


def step_of_one(model: Path, work: Path, size: Size, *, split: bool) -> float:
    """Seconds of a step of one video, with its guidance passes on one GPU or split over two."""
    runner = CommandRunner(model, work / "controls", pick_device(), Options(split_guidance=split))
    folder = work / ("split" if split else "whole")
    write_runs(folder, "warm", [RunSpec("warm", ("edge",), size, 2, 1)])
    write_runs(folder, "runs", [RunSpec("run", ("edge",), size, 5, 2)])
    runner.make(runner.requests(folder / "warm.jsonl"), folder / "warm")
    made = runner.make(runner.requests(folder / "runs.jsonl"), folder / "out")
    return made.batches[0].step


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of several GPUs.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--workers", type=int, default=torch.cuda.device_count())
    parser.add_argument("--size", default="832x480x93", help="the size of the scenario; empty: leave it out")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--long", default="1280x704x93", help="the size of the one video; empty: leave it out")
    parser.add_argument("--work", type=Path, default=Path("pair"))
    options = parser.parse_args(arguments)
    print("| measured | one | several | times |")
    print("| --- | ---: | ---: | ---: |", flush=True)
    if options.size:
        service = Service(options.model)
        size, counts = Size.parse(options.size), (1, options.workers)
        alone, together = (scenario(service, options.work, size, options.steps, count) for count in counts)
        print(row(f"scenario at {size}, {options.workers} workers, s", alone, together), flush=True)
    if options.long:
        long = Size.parse(options.long)
        whole, half = (step_of_one(options.model, options.work, long, split=split) for split in (False, True))
        print(row(f"a step at {long}, its passes on two GPUs, s", whole, half))


def row(name: str, one: float, several: float) -> str:
    """A row of the table."""
    return f"| {name} | {one:.3f} | {several:.3f} | {one / several:.2f} |"


if __name__ == "__main__":
    main()
