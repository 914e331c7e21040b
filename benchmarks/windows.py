"""Batching windows chosen by shadow replay, against ten fixed ones: `python -m benchmarks.windows [--trace CSV]`.

A script's model takes 120 s to load and a run 60 s, in batches of up to 8; a launch cannot be joined. A case is a
stream of runs on some devices; its cost is the mean time of a run in the system, from arrival to video, plus w
times the GPU seconds of a run. Costs count from the 1,000th run on, and are given as the difference to the fixed
window that was best for the case, with hindsight. "of 1,000" is a choice by the last 1,000 runs alone, "foreseen"
one by the 1,000 runs that come next, "20 s" a fixed window, "as set" the rules of a service without prediction.

`--trace` reads lora_request_trace.csv of cluster-trace-v2026-GenAI, which is not part of this repository:
https://github.com/alibaba/clusterdata.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import ceil, log
from pathlib import Path
from random import Random
from statistics import fmean

from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.simulation.shadow.window_choice import (
    EVERY,
    WINDOWS,
    ShadowReplays,
    WindowChooser,
    fixed_window,
)
from cosmos_batch.simulation.shadow.window_replay import ReplayCost, ReplayedKind, ReplayedRun, WindowReplay

LOAD, RUN, BATCH = 120.0, 60.0, 8  # seconds, seconds, runs
FIRST = 1000  # runs that do not count
AHEAD = 1000  # runs that "foreseen" knows
WEIGHTS = (0.0, 1.0)
CANDIDATES = (FlushRules(), *map(fixed_window, WINDOWS))
DEFAULT = 1 + WINDOWS.index(20.0)


@dataclass(frozen=True)
class Case:
    """A stream of runs on so many devices."""

    name: str
    devices: int
    load: float  # work without loads, over the devices' time
    kinds: int  # the k-th has a share in proportion to 1/k
    burst: float = 1.0  # mean number of runs of a burst, geometric
    gap: float = 0.0  # mean seconds between two runs of a burst
    quiet: float = 1.0  # rate in every other stretch of 1,500 runs, over that in the others


CASES = (
    Case("steady, 1 device", 1, 0.15, 3),
    Case("steady, 2 devices, 12 kinds", 2, 0.3, 12),
    Case("steady, 4 devices", 4, 0.5, 6),
    Case("bursts of 4 at once, 1 device", 1, 0.3, 6, 4.0),
    Case("bursts of 4 in 40 s, 1 device", 1, 0.3, 6, 4.0, 10.0),
    Case("bursts of 4 in 40 s, 2 devices", 2, 0.3, 6, 4.0, 10.0),
    Case("bursts of 4 in 40 s, 4 devices", 4, 0.3, 6, 4.0, 10.0),
    Case("bursts of 8 in 5 min, 2 devices", 2, 0.3, 6, 8.0, 40.0),
    Case("bursts of 6 in 2 min, 4 devices", 4, 0.5, 4, 6.0, 20.0),
    Case("bursts of 20 in 100 s, 2 devices", 2, 0.2, 30, 20.0, 5.0),
    Case("bursts of 3 in 3 min, 4 devices", 4, 0.2, 3, 3.0, 60.0),
    Case("bursts of 4 in 40 s, rate 1 to 1/4, 2 devices", 2, 0.4, 6, 4.0, 10.0, 0.25),
)


def stream(case: Case, runs: int, seed: int) -> list[ReplayedRun]:
    """Make the runs of a case; the same seed gives the same ones."""
    dice = Random(seed)
    kinds = [ReplayedKind(str(number), LOAD, BATCH) for number in range(case.kinds)]
    shares = [1.0 / (1 + number) for number in range(case.kinds)]
    found: list[tuple[float, ReplayedKind]] = []
    at, rate = 0.0, case.load * case.devices / RUN / case.burst
    while len(found) < runs:
        at += dice.expovariate(rate * (case.quiet if len(found) // 1500 % 2 else 1.0))
        (kind,) = dice.choices(kinds, shares)
        count = max(1, ceil(log(1.0 - dice.random()) / log(1.0 - 1.0 / case.burst))) if case.burst > 1 else 1
        moment = at
        for _ in range(count):
            found.append((moment, kind))
            moment += dice.expovariate(1.0 / case.gap) if case.gap else 0.0
    return [ReplayedRun(moment, kind, RUN) for moment, kind in sorted(found)[:runs]]


def read_trace(path: Path) -> list[ReplayedRun]:
    """Read the requests of a trace: a base model is a kind."""
    with path.open(newline="") as file:
        rows = [(row["gmt_create"], row["checkpoint_model_version_id"]) for row in csv.DictReader(file)]
    moments = sorted((datetime.fromisoformat(at).timestamp(), model) for at, model in rows)
    kinds = {model: ReplayedKind(model, LOAD, BATCH) for _, model in moments}
    return [ReplayedRun(at - moments[0][0], kinds[model], RUN) for at, model in moments]


@dataclass(frozen=True)
class Outcome:
    """Mean costs of a run, without the first."""

    fixed: tuple[float, ...]  # of every candidate
    chosen: float
    recent: float  # chosen by the last 1,000 runs alone
    foreseen: float
    end: int  # place of the candidate that was followed at the end


def measure(runs: Sequence[ReplayedRun], devices: int) -> list[Outcome]:
    """The costs of a stream for each weight."""
    shadows = ShadowReplays(CANDIDATES, devices)
    costs: list[list[ReplayCost]] = []  # of every candidate, after every block of arrivals
    for place, run in enumerate(runs, 1):
        shadows.arrive(run)
        if place % EVERY == 0:
            costs.append(shadows.costs())
    return [_outcome(runs, devices, costs, weight) for weight in WEIGHTS]


def _outcome(
    runs: Sequence[ReplayedRun], devices: int, costs: Sequence[Sequence[ReplayCost]], weight: float
) -> Outcome:
    def follow(choices: Iterable[int]) -> float:
        return _followed(runs, devices, choices, weight)

    first, counted = FIRST // EVERY - 1, len(costs) * EVERY - FIRST
    fixed = [
        (end.weighed(weight) - start.weighed(weight)) / counted
        for start, end in zip(costs[first], costs[-1], strict=True)
    ]
    long, short = WindowChooser(len(CANDIDATES), weight), WindowChooser(len(CANDIDATES), weight, EVERY * 4.0)
    chosen = [long.choose(each) for each in costs]
    return Outcome(
        tuple(fixed),
        follow(chosen),
        follow([short.choose(each) for each in costs]),
        follow(_foreseen(costs, weight)),
        chosen[-1],
    )


def _foreseen(costs: Sequence[Sequence[ReplayCost]], weight: float) -> Iterator[int]:
    """The candidate that is best for the runs that come next, after every block."""
    for block in range(len(costs)):
        later = costs[min(block + AHEAD // EVERY, len(costs) - 1)]
        spent = [
            end.weighed(weight) - start.weighed(weight) for start, end in zip(costs[block], later, strict=True)
        ]
        yield min(range(len(spent)), key=spent.__getitem__)


def _followed(runs: Sequence[ReplayedRun], devices: int, choices: Iterable[int], weight: float) -> float:
    """The mean cost of a run where the candidates are followed that were chosen after every block."""
    made, before, following = WindowReplay(CANDIDATES[0], devices), 0.0, iter(choices)
    last = len(runs) // EVERY * EVERY
    for place, run in enumerate(runs[:last], 1):
        made.arrive(run)
        if place % EVERY == 0:
            made.rules = CANDIDATES[next(following)]
        if place == FIRST:
            before = made.cost().weighed(weight)
    return (made.cost().weighed(weight) - before) / (last - FIRST)


def measure_case(case: Case, runs: int, seed: int) -> list[Outcome]:
    """The costs of one stream of a case."""
    return measure(stream(case, runs, seed), case.devices)


def rows(name: str, outcomes: Sequence[Sequence[Outcome]]) -> Iterator[tuple[str, list[float]]]:
    """The rows of a case, with one of its outcomes for each seed and weight: differences to the best window."""
    for weight, of_seeds in zip(WEIGHTS, zip(*outcomes, strict=True), strict=True):
        fixed = [fmean(values) for values in zip(*(each.fixed for each in of_seeds), strict=True)]
        best = min(fixed[1:])
        shown = (
            fmean(each.chosen for each in of_seeds),
            fmean(each.recent for each in of_seeds),
            fmean(each.foreseen for each in of_seeds),
            fixed[DEFAULT],
            fixed[0],
        )
        differences = [value / best - 1 for value in shown]
        window = WINDOWS[fixed.index(best, 1) - 1]
        cells = " | ".join(f"{100 * each:+.2f}" for each in differences)
        yield f"| {name} | {weight:g} | {window:g} s, {best:.1f} | {cells} |", differences


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=len(CASES), help="the first of them")
    parser.add_argument("--trace", type=Path, help="lora_request_trace.csv")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args(arguments)
    print("| case | w | best window and its cost | chosen, % | of 1,000 | foreseen | 20 s | as set |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    found: list[list[float]] = []
    with ProcessPoolExecutor(args.processes) as pool:
        for case in CASES[: args.cases]:
            for row, values in rows(
                case.name, list(pool.map(partial(measure_case, case, args.runs), range(args.seeds)))
            ):
                print(row, flush=True)
                found.append(values)
    means = " | ".join(f"{100 * fmean(column):+.2f}" for column in zip(*found, strict=True))
    worst = " | ".join(f"{100 * max(column):+.2f}" for column in zip(*found, strict=True))
    print(f"| **mean** | | | {means} |\n| **worst** | | | {worst} |", flush=True)
    if args.trace is not None:
        runs = read_trace(args.trace)
        for devices in (2, 4, 8):
            for row, _ in rows(f"trace, {devices} devices", [measure(runs, devices)]):
                print(row, flush=True)


if __name__ == "__main__":
    main()
