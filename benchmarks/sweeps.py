"""Seconds and memory of expanding and planning a sweep, by the number of runs.

    python -m benchmarks.sweeps [--sizes 10000,100000,1000000]

A sweep of 1,000 videos (fewer for few runs), 5 prompts with a placeholder, 5 sets of controls, and seeds to make
up the number. Every size is measured in a process of its own, with the functions of `cosmos-batch plan`: the sweep
is expanded, the header of each video read, every run judged and resolved, and all are planned. Seconds are those
of the process; of an otherwise idle core they are the time that a user waits.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENGINE = "transfer"
VIDEOS, PROMPTS, CONTROL_SETS = 1000, 5, 5


def write_sweep(folder: Path, runs: int) -> Path:
    """Write a sweep of so many runs, with its videos: one file under many names. Returns its path."""
    from cosmos_batch.media.encode import write_video

    videos = min(VIDEOS, max(1, runs // (PROMPTS * CONTROL_SETS)))
    first = folder / "clip_0000.mp4"
    write_video(first, np.zeros((5, 96, 160, 3), np.uint8), 8.0)
    for number in range(1, videos):
        (folder / f"clip_{number:04}.mp4").hardlink_to(first)
    path = folder / "sweep.json"
    sweep = {
        "videos": "clip_*.mp4",
        "prompts": {f"p{number}": f"{{video}} in weather {number}" for number in range(PROMPTS)},
        "seeds": {"from": 0, "count": runs // (videos * PROMPTS * CONTROL_SETS)},
        "controls": [{"edge": 1.0}, {"edge": [0.3, 0.6], "vis": 0.25}, {"edge": 0.5, "depth": 0.5}, {"vis": 0.5}],
        "settings": {"num_steps": 35},
        "tags": {"weather": "{prompt_name}"},
    }
    path.write_text(json.dumps(sweep), encoding="utf-8")
    return path


def measure(size: int) -> dict[str, float]:
    """Process seconds of each part, and this process's peak memory in MiB."""
    from cosmos_batch.engines.registry import profile, traits_of
    from cosmos_batch.planning.planner import plan_runs
    from cosmos_batch.requests import gather

    traits, cost = traits_of(ENGINE), profile(ENGINE, "h100")
    with tempfile.TemporaryDirectory() as folder:
        sweep = write_sweep(Path(folder), size)
        times = [time.process_time()]
        requests = gather([sweep], traits)
        times.append(time.process_time())
        resolved = requests.resolved(traits)
        times.append(time.process_time())
        plan = plan_runs(resolved, traits, cost, facts=requests.facts)
        times.append(time.process_time())
    planned = sum(len(batch.runs) for launch in plan.launches for batch in launch.batches)
    if planned != len(resolved) or requests.problems:
        raise SystemExit(f"{planned} of {size} runs were planned")
    return {
        "runs": planned,
        "expanding": times[1] - times[0],
        "resolving": times[2] - times[1],
        "planning": times[3] - times[2],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def print_table(sizes: list[int]) -> None:
    """Measure every size and print the results."""
    print("| runs | expanding and judging s | resolving s | planning s | sum s | µs a run | peak MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.sweeps", "--child", str(size)]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        parts = [figures[name] for name in ("expanding", "resolving", "planning")]
        print(
            f"| {figures['runs']:,} | {' | '.join(f'{part:.2f}' for part in parts)} | {sum(parts):.2f} "
            f"| {sum(parts) / figures['runs'] * 1e6:.1f} | {figures['peak_mib']:,.0f} |",
            flush=True,
        )


def main() -> None:
    """Print the table; `--child` starts a measuring process."""
    parser = argparse.ArgumentParser(description="How long expanding and planning a sweep take.")
    parser.add_argument("--sizes", default="10000,100000,1000000", help="numbers of runs, with commas between")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
    else:
        print_table([int(size) for size in options.sizes.split(",")])


if __name__ == "__main__":
    main()
