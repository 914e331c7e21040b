"""The distilled edge model against the general one on a CUDA device: `python -m benchmarks.gpu.distilled MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. The distilled model is made of links to its parts, with settings of
its own: what a pass costs does not depend on the weights. Both models make the same number of videos by the engine
under the dispatcher of `cosmos-batch run`, from the file of runs to verified videos in a folder, one after the
other in this process. First use, mostly compilation, comes before.

The distilled model makes its videos whole. A general video of many steps takes minutes: some of its steps are
taken, and its seconds are what was measured without the steps, and as many times the median of a step. That is the
time of the whole command; with more steps more of it would be hidden behind them.

The share of waiting is measured in a command of its own, by the profiler: of the time from the first kernel to the
last one, the part in which the device executes none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.command_runner import CommandRunner, CommandTimes
from benchmarks.gpu.folder import write_settings
from benchmarks.gpu.measuring import free_memory, peak_bytes, reset_peak
from benchmarks.gpu.size import Size
from benchmarks.gpu.videos import RunSpec, write_runs
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.model_settings import DISTILLED_STEPS, read_settings
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED_SETTINGS, SETTINGS

SIZES = "832x480x93:2,1280x704x93:1"
LINKED = ("transformer", "controlnet_edge", "vae", "text_encoder", "tokenizer")
PROFILED = 2  # videos of the command in which waiting is measured
GIB = 2**30


@dataclass(frozen=True)
class Case:
    """A size, and the steps that are taken of a general video."""

    size: Size
    steps: int
    folder: Path  # of the runs' files and videos

    @classmethod
    def parse(cls, text: str, work: Path) -> Case:
        """From "832x480x93:2"."""
        name, _, steps = text.partition(":")
        return cls(Size.parse(name), int(steps), work / name)

    def file(self, name: str, count: int, steps: int, seed: int) -> Path:
        """Write so many runs with videos of their own; returns their file."""
        specs = [RunSpec(f"{name}{index}", ("edge",), self.size, steps, seed + index) for index in range(count)]
        return write_runs(self.folder, name, specs)


@dataclass(frozen=True)
class Measured:
    """One model at one size."""

    seconds: float  # of a video
    step: float  # of a denoising step
    beside: float  # of a video, without its steps
    peak: int  # bytes of the device's memory
    predicted: int  # bytes that the shipped profile predicts
    waiting: float | None  # share of the time in which the device has no work; None: not measured


def link_distilled(model: Path, folder: Path) -> Path:
    """Make the folder of a distilled model of the parts of a general one; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in LINKED:
        if (model / part).is_dir() and not (folder / part).exists():
            (folder / part).symlink_to((model / part).absolute(), target_is_directory=True)
    general = read_settings(model, SETTINGS)
    defaults = replace(DISTILLED_SETTINGS.defaults, resolution=general.defaults.resolution)
    settings = replace(
        DISTILLED_SETTINGS,
        sizes=general.sizes,
        chunk_frames=general.chunk_frames,
        guardrail=general.guardrail,
        defaults=defaults,
    )
    write_settings(folder, settings)
    return folder


def idle_share(spans: Iterable[tuple[float, float]]) -> float:
    """The share of the time between the first begin and the last end of some spans that none of them covers."""
    ordered = sorted(spans)
    begin, covered, reached = ordered[0][0], 0.0, ordered[0][0]
    for start, end in ordered:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return 1 - covered / (reached - begin)


def waiting_share(runner: CommandRunner, file: Path, out: Path) -> float | None:
    """The share of a command in which the device has no work, from its first kernel on; None on the CPU."""
    if runner.device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as record:
        runner.make(runner.requests(file), out)
    kernels = [event.time_range for event in record.events() if event.device_type.name == "CUDA"]
    return idle_share((span.start, span.end) for span in kernels)


def predicted_peak(runner: CommandRunner, size: Size, rows: int) -> int:
    """Bytes that the shipped profile predicts for one run with one branch."""
    return runner.prior().peak_bytes(rows * size.tokens, 1, rows, size.width * size.height)


def measured(runner: CommandRunner, case: Case, videos: int, steps: int, whole: int) -> Measured:
    """Make some videos of `steps` steps each; the seconds are those of videos of `whole` steps."""
    name, first = runner.prior().engine, 1000 if steps == whole else 1  # prompts that no other model has read
    warm = runner.requests(case.file(f"{name}-warm", 1, min(steps, DISTILLED_STEPS), first + 100))
    runner.make(warm, case.folder / "warm")
    requests = runner.requests(case.file(f"{name}-", videos, steps, first))
    reset_peak()
    made = runner.make(requests, case.folder / "out")
    peak, rows = peak_bytes(), 1 if steps == whole else 2
    _print(case, name, made)
    again = case.file(f"{name}-profiled", PROFILED, steps, first + 200)
    return Measured(
        seconds=(made.beside / videos) + whole * made.step / videos,
        step=made.step / videos,
        beside=made.beside / videos,
        peak=peak,
        predicted=predicted_peak(runner, case.size, rows),
        waiting=waiting_share(runner, again, case.folder / "profiled") if steps == whole else None,
    )


def _print(case: Case, name: str, made: CommandTimes) -> None:
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in made.parts.items())
    print(f"{case.size} {name}: {made.seconds:.2f} s, of which {parts}", flush=True)
    for batch in made.batches:
        print(case.size, name, batch, flush=True)


def print_table(results: dict[str, dict[str, Measured]], steps: int) -> None:
    """Print the seconds of a video of both models, and the memory."""
    print("| size | model | s/step | beside, s | s/video | times | waiting | peak, GiB | predicted |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size, found in results.items():
        for name, one in found.items():
            waiting = "" if one.waiting is None else f"{one.waiting:.1%}"
            times = found["general"].seconds / one.seconds
            cells = [
                size,
                name,
                f"{one.step:.3f}",
                f"{one.beside:.2f}",
                f"{one.seconds:.2f}",
                f"{times:.1f}",
            ]
            off = f" ({one.predicted / one.peak - 1:+.0%})" if one.peak else ""
            cells += [waiting, f"{one.peak / GIB:.1f}", f"{one.predicted / GIB:.1f}{off}"]
            print("| " + " | ".join(cells) + " |")
    print(f"(general videos of {steps} steps; the distilled model's of {DISTILLED_STEPS}, made whole)", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The distilled edge model against the general one.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES, help="each with the number of steps that general videos take")
    parser.add_argument("--steps", type=int, default=36, help="of the general videos in the table")
    parser.add_argument("--videos", type=int, default=3, help="of each model at each size")
    parser.add_argument("--work", type=Path, default=Path("distilled"), help="where videos are written")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args(arguments)
    cases = [Case.parse(text, options.work) for text in options.sizes.split(",")]
    models = {"general": options.model, "distilled": link_distilled(options.model, options.work / "model")}
    results: dict[str, dict[str, Measured]] = {str(case.size): {} for case in cases}
    for name, model in models.items():
        runner = CommandRunner(model, options.work / "controls", pick_device(), branches=("edge",))
        for case in cases:
            steps = case.steps if name == "general" else DISTILLED_STEPS
            whole = options.steps if name == "general" else DISTILLED_STEPS
            results[str(case.size)][name] = measured(runner, case, options.videos, steps, whole)
            free_memory()
        del runner
        free_memory()
    print_table(results, options.steps)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=asdict))


if __name__ == "__main__":
    main()
