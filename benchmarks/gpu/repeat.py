"""Whether a video made again is the same bit for bit: `python -m benchmarks.gpu.repeat MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. The real command makes the same runs in processes of their own:

- first: with empty caches of kernels and texts;
- second: with other empty caches, so that all kernels are compiled anew;
- cached: with the caches of the second;
- resumed: killed by SIGKILL while it denoises, and continued by another process.

All commands make one run to a batch, so that each of them computes the same; another number of rows in a pass may
change roundings.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from benchmarks.gpu.measuring import COMMAND
from benchmarks.gpu.size import Size
from benchmarks.gpu.videos import RunSpec, write_runs
from cosmos_batch.dispatch.output.directory import HOME, OUTPUT, kept_checkpoints
from cosmos_batch.engines.inprocess.gpu.compiler import CACHE_VARIABLE
from cosmos_batch.media.video import Frames, read_frames

SIZES = "320x192x93:2,832x480x93:1"
SAVE_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Repeated:
    """A command's videos against those of the first one."""

    name: str
    largest: int  # difference of a pixel, of 255
    psnr: float | None  # in dB, over all runs; None: the same bits
    seconds: float
    killed: int = 0  # times


@dataclass(frozen=True)
class RepeatTrial:
    """The model, the runs and the folders of the commands."""

    model: Path
    work: Path
    specs: Sequence[RunSpec]
    program: Sequence[str] = COMMAND

    def run(self, name: str, kept: str) -> float:
        """Execute `cosmos-batch run` to its end; returns its seconds. Raises AssertionError where it fails."""
        begin = time.perf_counter()
        made = subprocess.run(self._words(name), env=self._environment(kept), capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr
        return time.perf_counter() - begin

    def kill(self, name: str, kept: str, every: float = SAVE_EVERY, limit: float = 300) -> int:
        """Start the command, and kill it once a checkpoint is on disk; returns how often it was killed."""
        out = self.work / name
        words = [*self._words(name), "--save-every", str(every)]
        with subprocess.Popen(words, env=self._environment(kept), stdout=subprocess.DEVNULL) as process:
            end = time.monotonic() + limit
            while process.poll() is None and time.monotonic() < end:
                if (out / HOME).exists() and kept_checkpoints(out):
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return 1
                time.sleep(0.02)
            process.kill()
        return 0

    def frames(self, name: str) -> dict[str, Frames]:
        """The frames of a command's videos, by run."""
        return {spec.id: read_frames(self.work / name / spec.id / OUTPUT) for spec in self.specs}

    def _words(self, name: str) -> list[str]:
        words = ["run", self.work / "runs.jsonl", "--engine", "transfer", "--model", self.model, "--plain"]
        words += ["-o", self.work / name, "--max-batch", 1]
        return [*self.program, *map(str, words)]

    def _environment(self, kept: str) -> dict[str, str]:
        names = {key: value for key, value in os.environ.items() if key != CACHE_VARIABLE}
        return names | {"XDG_CACHE_HOME": str((self.work / kept).absolute())}


def compared(
    name: str, found: Mapping[str, Frames], first: Mapping[str, Frames], seconds: float, killed: int = 0
) -> Repeated:
    """Compare the videos of two commands."""
    largest = max(int(cv2.absdiff(frames, first[run]).max()) for run, frames in found.items())
    ratios = [cv2.PSNR(frames, first[run]) for run, frames in found.items()]
    return Repeated(name, largest, min(ratios) if largest else None, seconds, killed)


def measure(trial: RepeatTrial) -> list[Repeated]:
    """Execute all commands."""
    seconds = trial.run("first", "kept-1")
    first = trial.frames("first")
    rows = [compared("first", first, first, seconds)]
    for name in ("second", "cached"):
        seconds = trial.run(name, "kept-2")
        rows.append(compared(name, trial.frames(name), first, seconds))
        print(rows[-1], flush=True)
    killed = trial.kill("resumed", "kept-2")
    seconds = trial.run("resumed", "kept-2")
    return [*rows, compared("resumed", trial.frames("resumed"), first, seconds, killed)]


def _specs(text: str, steps: int) -> list[RunSpec]:
    specs = []
    for part in text.split(","):
        size, _, count = part.partition(":")
        specs += [
            RunSpec(f"{size}-{index}", ("edge",), Size.parse(size), steps, 1 + index)
            for index in range(int(count or 1))
        ]
    return specs


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the commands, and print a table; returns 1 where a video is not the same."""
    parser = argparse.ArgumentParser(description="Whether a video made again is the same bit for bit.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES, help="sizes, and how many runs of each")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--work", type=Path, default=Path("/tmp/repeat"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    shutil.rmtree(options.work, ignore_errors=True)
    specs = _specs(options.sizes, options.steps)
    write_runs(options.work, "runs", specs)
    rows = measure(RepeatTrial(options.model, options.work, specs))
    print(
        "\n| command | largest difference of 255 | PSNR, dB | seconds | killed |\n| --- | --- | --- | --- | --- |"
    )
    for row in rows:
        psnr = "same bits" if row.psnr is None else f"{row.psnr:.1f}"
        print(f"| {row.name} | {row.largest} | {psnr} | {row.seconds:.1f} | {row.killed} |")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return int(any(row.largest for row in rows))


if __name__ == "__main__":
    sys.exit(main())
