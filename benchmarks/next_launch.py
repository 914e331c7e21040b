"""Seconds in which a worker chooses its next launch near the end of a queue: `python -m benchmarks.next_launch`.

Every launch has a length of its own, and there are as many launches as still count as near the end. The last of
them is longer than what a worker gets on average, so that no other choice than this one is within the tolerance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from benchmarks.stage import PRIOR
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.policies.launch_queue import LaunchQueue
from cosmos_batch.planning.policies.load_balance import near
from cosmos_batch.planning.policies.placement import Device, PlacementRules
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority

OTHERS = (8, 32, 64, 128, 1_000, 10_000)
SHAPE = Shape(1280, 704, 93)


def queue_of(others: int, seed: int = 0) -> tuple[list[PlannedLaunch], list[float]]:
    """Waiting launches of distinct lengths, and for how many more seconds each other worker is busy."""
    dice = Random(seed)
    batches = [Batch((), SHAPE, dice.uniform(60.0, 600.0), 0) for _ in range(near(others))]
    batches[-1] = replace(batches[-1], seconds=1.3 * sum(batch.seconds for batch in batches) / (1 + others))
    rank = Rank(Priority.NORMAL, 0)
    waiting = [PlannedLaunch(rank, Launch(0, ("edge",), (batch,), 0.0, "")) for batch in batches]
    return waiting, [dice.uniform(300.0, 600.0) for _ in range(others)]


def measure(others: int, repeats: int = 2) -> float:
    """The least process seconds of one choice, of several tries."""
    waiting, busy = queue_of(others)
    queue, device = LaunchQueue(waiting), Device(PlacementRules(), PRIOR)
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        device.pick(queue, busy)
        found.append(time.process_time() - begin)
    return min(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--others", type=int, nargs="+", default=OTHERS, help="numbers of other workers")
    print("| other workers | waiting launches | one choice, ms |")
    print("| ---: | ---: | ---: |")
    for others in parser.parse_args(arguments).others:
        print(f"| {others:,} | {near(others):,} | {1000 * measure(others):.2f} |", flush=True)


if __name__ == "__main__":
    main()
