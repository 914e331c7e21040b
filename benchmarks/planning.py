"""Seconds and memory of planning by the number of runs.

    python -m benchmarks.planning [--sizes 10000,100000,1000000]

Every size is planned in a process of its own, once for each engine, so that the peak memory is that of the whole
process: interpreter, runs, plan. The runs are a mix: all 15 sets of the four controls, seeds, weights, steps,
resolutions and priorities from small pools, a thousand shared input videos of differing sizes, a prompt for each.
Reading is timed on 100,000 native JSONL lines.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

ENGINES = ("transfer1", "transfer")
CONTROLS = ("depth", "edge", "seg", "vis")
CONTROL_SETS = [names for count in range(1, 5) for names in combinations(CONTROLS, count)]
LINES = 100_000


def drawn(rng: random.Random, index: int, engine: str) -> dict[str, Any]:
    """Draw a native run dict of the mix."""
    weights = {name: rng.choice((0.3, 0.5, 1.0)) for name in rng.choice(CONTROL_SETS)}
    config: dict[str, Any] = {
        "weights": weights,
        "seed": rng.choice((1, 7, 42, 2025)),
        "num_steps": rng.choice((35, 35, 35, 20)),
        "guidance": rng.choice((7.0, 5.0)),
    }
    if engine == "transfer":
        config["resolution"] = rng.choice(("720", "480p", "256", "256"))
    return {
        "id": f"run_{index:07d}",
        "prompt": f"a street at dusk, light rain, variation {index} of the recorded drive",
        "inputs": {"video": f"/data/drives/{rng.randrange(1000):04d}/front.mp4"},
        "execution_config": config,
        "priority": 100 if rng.random() < 0.001 else 0,
    }


def measure_planning(engine: str, size: int) -> dict[str, float]:
    """Seconds to plan `size` runs, and this process's peak memory in MiB."""
    from cosmos_batch.engines.registry import profile, traits_of
    from cosmos_batch.media.info import VideoInfo
    from cosmos_batch.planning.planner import plan_runs
    from cosmos_batch.planning.resolve import resolve
    from cosmos_batch.run import Control, ResolvedRun, Run, Sampling

    rng = random.Random(size)
    traits = traits_of(engine)
    runs: list[ResolvedRun] = []
    facts: dict[str, VideoInfo] = {}
    for index in range(size):
        spec = drawn(rng, index, engine)
        config = spec["execution_config"]
        video = sys.intern(spec["inputs"]["video"])
        facts.setdefault(video, VideoInfo(*rng.choice(((1280, 720), (640, 480), (720, 1280))), 121, 24.0))
        run = Run(
            id=spec["id"],
            prompt=spec["prompt"],
            video=video,
            controls=tuple(Control(name=name, weight=w) for name, w in config.pop("weights").items()),
            sampling=Sampling(**config),
            priority=spec["priority"],
        )
        runs.append(resolve(run, traits, facts))
    begin, busy = time.perf_counter(), time.process_time()
    plan = plan_runs(runs, traits, profile(engine, "h100"), facts=facts)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    planned = sum(len(batch.runs) for launch in plan.launches for batch in launch.batches)
    if planned != size:
        raise SystemExit(f"{planned} of {size} runs were planned")
    return {
        "seconds": seconds,
        "cpu_seconds": busy,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "launches": len(plan.launches),
        "batches": sum(len(launch.batches) for launch in plan.launches),
    }


def measure_reading() -> dict[str, float]:
    """Seconds to read 100,000 native JSONL lines, and this process's peak memory in MiB."""
    from cosmos_batch.formats import read_files

    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(drawn(rng, index, "transfer")) + "\n" for index in range(LINES))
        begin = time.perf_counter()
        reading = read_files([path], check_inputs=False)  # the videos do not exist
        seconds = time.perf_counter() - begin
    if len(reading.runs) != LINES:
        raise SystemExit(f"{len(reading.runs)} of {LINES} lines were read")
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_child(*arguments: str) -> dict[str, float]:
    """Measure in a process of its own and return the figures it prints."""
    command = [sys.executable, "-m", "benchmarks.planning", "--child", *arguments]
    result: dict[str, float] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return result


def print_table(sizes: list[int]) -> None:
    """Measure every size on every engine and print the results."""
    reading = in_child("reading")
    print(
        f"reading {LINES:,} native JSONL lines: {reading['seconds']:.2f} s, peak {reading['peak_mib']:.0f} MiB\n"
    )
    print("| engine | runs | plan s | CPU s | growth | runs/s | launches | batches | peak MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for engine in ENGINES:
        before: tuple[int, float] | None = None
        for size in sizes:
            figures = in_child(engine, str(size))
            seconds, busy = figures["seconds"], figures["cpu_seconds"]
            # 1.00 is linear: CPU seconds per run against those at the size before
            growth = f"{busy / size / (before[1] / before[0]):.2f}" if before else ""
            print(
                f"| {engine} | {size:,} | {seconds:.2f} | {busy:.2f} | {growth} | {size / seconds:,.0f} "
                f"| {figures['launches']:,} | {figures['batches']:,} | {figures['peak_mib']:,.0f} |",
                flush=True,
            )
            before = (size, busy)


def main() -> None:
    """Print the table; `--child` starts a measuring process."""
    parser = argparse.ArgumentParser(description="How long planning takes, by the number of runs.")
    parser.add_argument("--sizes", default="10000,100000,1000000", help="numbers of runs, with commas between")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == ["reading"]:
        print(json.dumps(measure_reading()))
    elif options.child:
        print(json.dumps(measure_planning(options.child[0], int(options.child[1]))))
    else:
        print_table([int(size) for size in options.sizes.split(",")])


if __name__ == "__main__":
    main()
