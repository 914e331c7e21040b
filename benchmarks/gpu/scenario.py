"""The standard scenario on one CUDA device, three ways: `python -m benchmarks.gpu.scenario MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`, from which both sides load their weights; its cosmos_batch.json is
rewritten. Ten runs, one video each: six with edge, three with edge and depth, one with edge, vis, depth and seg:

- all controls forced, one by one, with the diffusers classes: every run goes through all four branches;
- own controls, one by one, with the diffusers classes (see `pipeline`);
- ours: the engine under the dispatcher of `cosmos-batch run`, from the runs' file to verified videos in a folder,
  batched by the planner with the shipped profile. Reading control videos, writing outputs and verifying them
  counts here; for diffusers, which gets arrays and ends with frames on the host, it does not.

Every run of ours has its own prompt, control videos and seed, so that only the cache of the negative prompt
serves it, and all ten are made. Of diffusers' runs one of each of the three sets of controls is made, and counted
as often as the set occurs (a forced run is the same for all ten).

At large sizes few steps are taken. (Seconds of n steps) = beside + n * step, where `step` is the median of the
steps, and `beside` the measured seconds without the steps, each counted as the median. For ours that is the time
of the whole command; with more steps more of it would be hidden behind them. First use, mostly compilation, comes
before, and is reported separately.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.gpu.command_runner import CommandRunner, CommandTimes
from benchmarks.gpu.folder import write_settings
from benchmarks.gpu.measuring import free_memory, peak_bytes, reset_peak
from benchmarks.gpu.pipeline import Pipeline, VideoTimes
from benchmarks.gpu.size import Size
from benchmarks.gpu.standard_scenario import ALL, CONTROL_SETS, RUNS, SIZES, Scenario
from benchmarks.gpu.videos import RunSpec
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.model_settings import read_settings
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from cosmos_batch.media.video import read_frames

MAX_DIFFUSERS_STEPS = 8
"""Steps of a run of diffusers at most: every step takes the same time."""

LoadPipeline = Callable[[Path, torch.device], Pipeline]

TimesBySet = dict[tuple[str, ...], VideoTimes]
"""Times of a run by its controls."""


@dataclass(frozen=True)
class ScenarioTime:
    """Seconds of all ten runs."""

    step: float  # a denoising step of every run
    beside: float  # all but the steps

    def video(self, steps: int) -> float:
        """Seconds per video at so many steps."""
        return (self.beside + steps * self.step) / len(RUNS)


def of_diffusers(times: TimesBySet, counts: Mapping[tuple[str, ...], int]) -> ScenarioTime:
    """Seconds of `counts` runs of each set of controls, one after the other."""
    return ScenarioTime(
        step=sum(count * times[names].step for names, count in counts.items()),
        beside=sum(count * times[names].beside for names, count in counts.items()),
    )


def parts(made: CommandTimes, times: TimesBySet) -> dict[str, dict[str, float]]:
    """Seconds per video beside the steps: with all controls forced, and ours."""
    forced = times[ALL]
    return {
        "diffusers": {name: getattr(forced, name) for name in ("text", "encoding", "decoding")},
        "ours": {name: seconds / len(RUNS) for name, seconds in made.parts.items()},
    }


@dataclass(frozen=True)
class SideResult:
    """Measurements of one side, at one size."""

    first: float  # seconds of first use
    peak: float  # GiB of the device's memory, weights and text encoder included
    result: Any


def measured(warm_up: Callable[[], object], make: Callable[[], Any]) -> SideResult:
    """Measure the first use, then `make`."""
    begin = time.perf_counter()
    warm_up()
    first = time.perf_counter() - begin
    reset_peak()
    result = make()
    return SideResult(first, peak_bytes() / 2**30, result)


def measure_diffusers(pipeline: Pipeline, scenario: Scenario, negative: str) -> SideResult:
    """Make a run of each set of controls; the result is `TimesBySet`."""

    def made(spec: RunSpec) -> VideoTimes:
        controls = {name: read_frames(scenario.folder / spec.video(name)) for name in spec.controls}
        prompts, steps = (spec.prompt, negative), min(scenario.steps, MAX_DIFFUSERS_STEPS)
        return pipeline.make(prompts, controls, spec.weights, steps, spec.seed)

    def warm_up() -> None:
        pipeline.warm_up(read_frames(scenario.folder / scenario.warm_up[0].video("edge")))
        if scenario.small:
            made(scenario.one_per_set[-1])  # the host launches kernels faster after a first run

    def make() -> TimesBySet:
        times: TimesBySet = {}
        for spec in scenario.one_per_set:
            video = times[spec.controls] = made(spec)
            print(scenario.size, "diffusers", spec.controls, replace(video, frames=video.frames[:0]), flush=True)
        return times

    return measured(warm_up, make)


def measure_ours(runner: CommandRunner, scenario: Scenario) -> SideResult:
    """Make all ten runs; the result is `CommandTimes`."""
    warm, requests = (runner.requests(scenario.folder / f"{name}.jsonl") for name in ("warm", "runs"))

    def make() -> CommandTimes:
        made = runner.make(requests, scenario.folder / "out")
        print(scenario.size, f"ours, {made.seconds:.2f} s", flush=True)
        for batch in made.batches:
            print(scenario.size, "ours", batch, flush=True)
        return made

    return measured(lambda: runner.make(warm, scenario.folder / "warm"), make)


def difference(scenario: Scenario, made: CommandTimes, times: TimesBySet) -> dict[str, float]:
    """Mean difference of the pixels of the same run on both sides, of 255, by run."""
    pairs = {spec.id: (times[spec.controls].frames, made.frames[spec.id]) for spec in scenario.one_per_set}
    return {run: float(cv2.absdiff(one, other).mean()) for run, (one, other) in pairs.items()}


def all_of_diffusers(
    model: Path, scenarios: Sequence[Scenario], device: torch.device, load: LoadPipeline
) -> dict[Size, SideResult]:
    """Load the diffusers classes, measure every size, and drop them."""
    begin = time.perf_counter()
    pipeline = load(model, device)
    print(f"the diffusers classes are loaded in {time.perf_counter() - begin:.1f} s", flush=True)
    negative = read_settings(model, PUBLISHED.settings).defaults.negative_prompt or ""
    return {scenario.size: measure_diffusers(pipeline, scenario, negative) for scenario in scenarios}


def all_of_ours(
    model: Path, scenarios: Sequence[Scenario], device: torch.device
) -> Iterator[tuple[Scenario, SideResult]]:
    """Load our engine for each length of a chunk, and measure one size after the other."""
    settings = read_settings(model, PUBLISHED.settings)
    try:
        for frames, group in groupby(scenarios, lambda scenario: scenario.size.frames):
            write_settings(model, replace(settings, chunk_frames=frames))
            begin = time.perf_counter()
            runner = CommandRunner(model, scenarios[0].folder.parent / "controls", device)
            print(f"our engine is loaded in {time.perf_counter() - begin:.1f} s", flush=True)
            for scenario in group:
                yield scenario, measure_ours(runner, scenario)
            del runner
            free_memory()
    finally:
        write_settings(model, settings)


def main(arguments: Sequence[str] | None = None, load: LoadPipeline = Pipeline) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The standard scenario, three ways.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES, help="each with the number of steps that its runs take")
    parser.add_argument("--steps", type=int, default=35, help="of the videos in the table")
    parser.add_argument("--work", type=Path, default=Path("scenario"), help="where videos are written")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args(arguments)
    device = pick_device()
    scenarios = [Scenario.parse(text, options.work) for text in options.sizes.split(",")]
    for scenario in scenarios:
        scenario.write()
    found = all_of_diffusers(options.model, scenarios, device, load)
    free_memory()
    results: dict[str, Any] = {}
    for scenario, mine in all_of_ours(options.model, scenarios, device):
        results[str(scenario.size)] = compared(scenario, found[scenario.size], mine)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1, default=asdict))
        print_tables(results, options.steps)


def compared(scenario: Scenario, before: SideResult, mine: SideResult) -> dict[str, Any]:
    """Compare both sides at one size."""
    times, made = before.result, mine.result
    return {
        "totals": {
            "all controls forced, diffusers": of_diffusers(times, {ALL: len(RUNS)}),
            "own controls, diffusers": of_diffusers(times, CONTROL_SETS),
            "ours": ScenarioTime(made.step, made.beside),
        },
        "beside": parts(made, times),
        "first use": {"diffusers": before.first, "ours": mine.first},
        "peak": {"diffusers": before.peak, "ours": mine.peak},
        "difference": difference(scenario, made, times),
    }


def print_tables(results: Mapping[str, Any], steps: int) -> None:
    """Print the scenario, and the seconds beside the steps of forced runs of diffusers and of ours."""
    print(f"| size | runs | s/step of all ten | times | beside, s/video | s/video at {steps} steps | times |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for size, found in results.items():
        first = next(iter(found["totals"].values()))
        for name, total in found["totals"].items():
            cells = [
                size,
                name,
                f"{total.step:.3f}",
                f"{first.step / total.step:.2f}",
                f"{total.beside / len(RUNS):.2f}",
            ]
            cells += [f"{total.video(steps):.2f}", f"{first.video(steps) / total.video(steps):.2f}"]
            print("| " + " | ".join(cells) + " |")
    print("\n| size | side | beside the steps, s/video | first use, s | peak, GiB |")
    print("| --- | --- | --- | ---: | ---: |")
    for size, found in results.items():
        for side, beside in found["beside"].items():
            cells = [size, side, ", ".join(f"{name} {seconds:.2f}" for name, seconds in beside.items())]
            cells += [f"{found['first use'][side]:.1f}", f"{found['peak'][side]:.1f}"]
            print("| " + " | ".join(cells) + " |")
        print(f"({size}: mean difference of the sides' pixels, of 255, by run: {found['difference']})", flush=True)


if __name__ == "__main__":
    main()
