"""The standard scenario on one CUDA device, three ways: `python -m benchmarks.gpu.scenario MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`, from which both sides load their weights; its cosmos_batch.json is
rewritten. Ten runs, one video each: six with edge, three with edge and depth, one with edge, vis, depth and seg:

- all controls forced, one by one, with the diffusers classes: every run goes through all four branches;
- own controls, one by one, with the diffusers classes (see `pipeline`);
- ours: the engine under the dispatcher of `cosmos-batch run`, from the runs' file to checked videos in a folder,
  put together as the planner does with the shipped profile. Reading control videos, writing outputs and checking
  them counts here; for diffusers it does not, which gets arrays and ends with frames on the host.

Every run of ours has its own prompt, control videos and seed, so that no cache serves it but that of the negative
prompt, and all ten are made. Of diffusers' runs each of the three kinds is made once, and counted as often as it
occurs (a forced run is the same for all ten).

At large sizes few steps are taken. (Seconds of n steps) = beside + n * step, where `step` is the median of the
steps: `beside` is what was taken less as many such steps as there were. For ours that is the time of the whole
command; with more steps more of it would be hidden behind them. What first use takes, compilation above all, comes
before, and is stated by itself.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.gpu.dispatched import Made, Maker
from benchmarks.gpu.folder import write_settings
from benchmarks.gpu.pipeline import Pipeline, Take
from benchmarks.gpu.sizes import Size
from benchmarks.gpu.tasks import ALL, KINDS, RUNS, SIZES, Task
from benchmarks.gpu.videos import Wish
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.model_settings import read_settings
from cosmos_batch.media.video import read_frames

THEIR_STEPS = 8
"""Of a run of diffusers at most: every one takes the same."""

Takes = dict[Sequence[str], Take]
"""Runs by their controls."""


@dataclass(frozen=True)
class Way:
    """What one way takes for all ten runs, in seconds."""

    step: float  # a denoising step of all
    beside: float  # all but the steps

    def video(self, steps: int) -> float:
        """Per video."""
        return (self.beside + steps * self.step) / len(RUNS)


def theirs(takes: Takes, counts: Mapping[Sequence[str], int]) -> Way:
    """So many runs of each kind, one after the other."""
    return Way(
        step=sum(count * takes[names].step for names, count in counts.items()),
        beside=sum(count * takes[names].beside for names, count in counts.items()),
    )


def parts(made: Made, takes: Takes) -> dict[str, dict[str, float]]:
    """Seconds per video of what is no step: forced, and ours."""
    forced = takes[ALL]
    return {
        "diffusers": {name: getattr(forced, name) for name in ("text", "encoding", "decoding")},
        "ours": {name: seconds / len(RUNS) for name, seconds in made.parts.items()},
    }


@dataclass(frozen=True)
class Found:
    """What was measured on one side, at one size."""

    first: float  # seconds of first use
    peak: float  # GiB of the device's memory, weights and text encoder included
    result: Any


def measured(device: torch.device, warm_up: Callable[[], object], make: Callable[[], Any]) -> Found:
    """First use, then what counts."""
    begin = time.perf_counter()
    warm_up()
    first = time.perf_counter() - begin
    if device.type != "cuda":
        return Found(first, 0.0, make())
    torch.cuda.reset_peak_memory_stats(device)
    result = make()
    return Found(first, torch.cuda.max_memory_allocated(device) / 2**30, result)


def measure_theirs(pipeline: Pipeline, task: Task, negative: str) -> Found:
    """A run of each kind: `Takes`."""

    def made(wish: Wish) -> Take:
        controls = {name: read_frames(task.folder / wish.video(name)) for name in wish.controls}
        prompts, steps = (wish.prompt, negative), min(task.steps, THEIR_STEPS)
        return pipeline.make(prompts, controls, wish.weights, steps, wish.seed)

    def warm_up() -> None:
        pipeline.warm_up(read_frames(task.folder / task.warm_up[0].video("edge")))
        if task.small:
            made(task.of_each_kind[-1])  # a host that launches kernel after kernel gets faster at it

    def make() -> Takes:
        takes: Takes = {}
        for wish in task.of_each_kind:
            take = takes[wish.controls] = made(wish)
            print(task.size, "diffusers", wish.controls, replace(take, frames=take.frames[:0]), flush=True)
        return takes

    return measured(pipeline.device, warm_up, make)


def measure_ours(maker: Maker, task: Task) -> Found:
    """What was made: `Made`."""
    warm, requests = (maker.requests(task.folder / f"{name}.jsonl") for name in ("warm", "runs"))

    def make() -> Made:
        made = maker.make(requests, task.folder / "out")
        print(task.size, f"ours, {made.seconds:.2f} s", flush=True)
        for batch in made.batches:
            print(task.size, "ours", batch, flush=True)
        return made

    return measured(maker.device, lambda: maker.make(warm, task.folder / "warm"), make)


def difference(task: Task, made: Made, takes: Takes) -> dict[str, float]:
    """Mean difference of the pixels of the same run on both sides, of 255, by run."""
    pairs = {wish.id: (takes[wish.controls].frames, made.frames[wish.id]) for wish in task.of_each_kind}
    return {run: float(cv2.absdiff(one, other).mean()) for run, (one, other) in pairs.items()}


def all_of_theirs(model: Path, tasks: Sequence[Task], device: torch.device) -> dict[Size, Found]:
    """With the model loaded, and dropped at the end."""
    begin = time.perf_counter()
    pipeline = Pipeline(model, device)
    print(f"the diffusers classes are loaded in {time.perf_counter() - begin:.1f} s", flush=True)
    negative = read_settings(model).defaults.negative_prompt or ""
    return {task.size: measure_theirs(pipeline, task, negative) for task in tasks}


def all_of_ours(model: Path, tasks: Sequence[Task], device: torch.device) -> Iterator[tuple[Task, Found]]:
    """The same, with the model loaded for each length of a chunk; one size after the other."""
    settings = read_settings(model)
    try:
        for frames, group in groupby(tasks, lambda task: task.size.frames):
            write_settings(model, replace(settings, chunk_frames=frames))
            begin = time.perf_counter()
            maker = Maker(model, tasks[0].folder.parent / "controls", device)
            print(f"our engine is loaded in {time.perf_counter() - begin:.1f} s", flush=True)
            for task in group:
                yield task, measure_ours(maker, task)
            del maker
            free(device)
    finally:
        write_settings(model, settings)


def free(device: torch.device) -> None:
    """The memory of what was dropped."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The standard scenario, three ways.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES, help="each with the number of steps that its runs take")
    parser.add_argument("--steps", type=int, default=35, help="of the videos in the table")
    parser.add_argument("--work", type=Path, default=Path("scenario"), help="where videos are written")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    device = pick_device()
    tasks = [Task.parse(text, options.work) for text in options.sizes.split(",")]
    for task in tasks:
        task.write()
    found = all_of_theirs(options.model, tasks, device)
    free(device)
    results: dict[str, Any] = {}
    for task, mine in all_of_ours(options.model, tasks, device):
        results[str(task.size)] = compared(task, found[task.size], mine)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1, default=asdict))
        print_tables(results, options.steps)


def compared(task: Task, before: Found, mine: Found) -> dict[str, Any]:
    """Both sides at one size."""
    takes, made = before.result, mine.result
    return {
        "ways": {
            "all controls forced, diffusers": theirs(takes, {ALL: len(RUNS)}),
            "own controls, diffusers": theirs(takes, KINDS),
            "ours": Way(made.step, made.beside),
        },
        "beside": parts(made, takes),
        "first use": {"diffusers": before.first, "ours": mine.first},
        "peak": {"diffusers": before.peak, "ours": mine.peak},
        "difference": difference(task, made, takes),
    }


def print_tables(results: Mapping[str, Any], steps: int) -> None:
    """The scenario; what is beside its steps, in forced runs of diffusers and in ours."""
    print(f"| size | way | s/step of all ten | times | beside, s/video | s/video at {steps} steps | times |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for size, found in results.items():
        first = next(iter(found["ways"].values()))
        for name, way in found["ways"].items():
            cells = [
                size,
                name,
                f"{way.step:.3f}",
                f"{first.step / way.step:.2f}",
                f"{way.beside / len(RUNS):.2f}",
            ]
            cells += [f"{way.video(steps):.2f}", f"{first.video(steps) / way.video(steps):.2f}"]
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
