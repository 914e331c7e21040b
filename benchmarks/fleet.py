"""Seconds and memory to simulate a day of runs on a fleet: `python -m benchmarks.fleet [--runs N] [--load 0.8]`.

The standard day: runs of 690 s, 30 kinds by Zipf's law, each a model of its own that takes 120 s to load. `--load`
is the work over the time of all devices, loads left out; the runs arrive evenly, as many as fill the devices for a
day.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence

from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.simulation.compare import Scenario, compare, policies_named
from cosmos_batch.simulation.params import Params, generate
from cosmos_batch.simulation.summary import Summary

ENGINE, DEVICE = "transfer", "h100"
RUN, LOAD, KINDS = 690.0, 120.0, 30  # seconds, seconds, models


def measure(runs: int, gpus: int, load: float, policy: str) -> tuple[Summary, float]:
    """The summary, and the process seconds of the simulation."""
    seconds = runs * RUN / (gpus * load)
    params = Params(runs=runs, seconds=seconds, kinds=KINDS, run_seconds=RUN, load_seconds=LOAD)
    began = time.process_time()
    made = generate(params, traits_of(ENGINE), profile(ENGINE, DEVICE))
    scenario = Scenario(made.trace, made.traits, made.cost, gpus, made.machines)
    (summary,) = compare(scenario, policies_named([policy]))
    return summary, time.process_time() - began


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--gpus", type=int, default=10_000)
    parser.add_argument("--load", type=float, default=0.8)
    parser.add_argument("--policy", default="ours")
    args = parser.parse_args(arguments)
    summary, seconds = measure(args.runs, args.gpus, args.load, args.policy)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    waits = summary.waits
    print("| load | policy | makespan / bound | wait p50, s | p99, s | loads | process s | MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {args.load:g} | {args.policy} | {summary.makespan / summary.bound:.4f} | {waits.p50} | {waits.p99} "
        f"| {summary.totals.loads:,} | {seconds:.1f} | {memory:.0f} |"
    )


if __name__ == "__main__":
    main()
