"""What several GPUs give: `python -m benchmarks.gpu.pair MODEL`, with a model of `benchmarks.gpu.folder`.

First, the standard scenario by `cosmos-batch serve` with one worker, and with one for every GPU: seconds from the
first submission to the end of the last run, after every worker has made a video. When each run began and ended
goes to stderr. Then one video at 1280x704, on one GPU and with its two guidance passes on two: seconds of a step.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.gpu.crowded import COMMAND
from benchmarks.gpu.dispatched import Maker
from benchmarks.gpu.sizes import Size
from benchmarks.gpu.tasks import RUNS
from benchmarks.gpu.videos import Wish, write_runs
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.options import Options

PORT = 8123


def command(*words: object) -> str:
    """What a `cosmos-batch` command prints. Raises CalledProcessError where it fails."""
    done = subprocess.run([*COMMAND, *map(str, words)], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def served(home: Path, model: Path, videos: Path, workers: int) -> Iterator[str]:
    """A service; its address."""
    words = ["serve", home, "--model", model, "--workers", workers, "--root", videos, "--port", PORT]
    words += ["--flush-seconds", 0, "--on-start", "run"]
    with subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it serves
        try:
            yield f"http://127.0.0.1:{PORT}"
        finally:
            server.terminate()


def finished(address: str, file: Path, wishes: Sequence[Wish]) -> float:
    """Seconds until these runs, which are submitted now, have all succeeded. Raises CalledProcessError."""
    begin = time.perf_counter()
    command("submit", file, "--server", address, "--in-place")
    command("watch", *(wish.id for wish in wishes), "--server", address)
    return time.perf_counter() - begin


def scenario(model: Path, work: Path, size: Size, steps: int, workers: int) -> float:
    """Seconds of the scenario's ten runs."""
    folder = work / f"workers{workers}"
    warm = [Wish(f"warm{i}", ("edge",), size, 2, 100 + i) for i in range(2 * workers)]
    runs = [Wish(f"run{i}", names, size, steps, 1 + i) for i, names in enumerate(RUNS)]
    files = [write_runs(folder, name, wishes) for name, wishes in (("warm", warm), ("runs", runs))]
    with served(folder / "home", model, folder, workers) as address:
        finished(address, files[0], warm)
        begin = time.time()
        seconds = finished(address, files[1], runs)
        print_times(folder / "home", runs, begin)
        return seconds


def print_times(home: Path, runs: Sequence[Wish], begin: float) -> None:
    """When each run began and ended, in seconds after `begin`, as its record has it."""
    records = [json.loads((home / "videos" / run.id / "run.json").read_text()) for run in runs]
    for record in sorted(records, key=lambda record: record["started"]):
        at = "{:7.2f} to {:7.2f}".format(record["started"] - begin, record["ended"] - begin)
        print(f"{at}  {record['id']}", file=sys.stderr, flush=True)


def step_of_one(model: Path, work: Path, size: Size, *, split: bool) -> float:
    """Seconds of a step of one video."""
    maker = Maker(model, work / "controls", pick_device(), Options(split_guidance=split))
    folder = work / ("split" if split else "whole")
    write_runs(folder, "warm", [Wish("warm", ("edge",), size, 2, 1)])
    write_runs(folder, "runs", [Wish("run", ("edge",), size, 5, 2)])
    maker.make(maker.requests(folder / "warm.jsonl"), folder / "warm")
    made = maker.make(maker.requests(folder / "runs.jsonl"), folder / "out")
    return made.batches[0].step


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What several GPUs give.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--workers", type=int, default=torch.cuda.device_count())
    parser.add_argument("--size", default="832x480x93", help="the size of the scenario; empty: leave it out")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--long", default="1280x704x93", help="the size of the one video; empty: leave it out")
    parser.add_argument("--work", type=Path, default=Path("pair"))
    options = parser.parse_args(arguments)
    print("| what | one | several | times |")
    print("| --- | ---: | ---: | ---: |", flush=True)
    if options.size:
        size, counts = Size.parse(options.size), (1, options.workers)
        alone, together = (scenario(options.model, options.work, size, options.steps, count) for count in counts)
        print(row(f"scenario at {size}, {options.workers} workers, s", alone, together), flush=True)
    if options.long:
        long = Size.parse(options.long)
        whole, half = (step_of_one(options.model, options.work, long, split=split) for split in (False, True))
        print(row(f"a step at {long}, its passes on two GPUs, s", whole, half))


def row(what: str, one: float, several: float) -> str:
    """Of the table."""
    return f"| {what} | {one:.3f} | {several:.3f} | {one / several:.2f} |"


if __name__ == "__main__":
    main()
