"""A card whose memory another process fills while a command runs: `python -m benchmarks.gpu.crowded MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. The real `cosmos-batch run` makes the same runs, of one size, three
times, each in a process and an output folder of its own:

- alone: one run to a batch;
- together: all runs in one batch;
- crowded: all in one batch again, but as soon as it has begun, this process allocates so much of the card's
  memory that the rest holds one run at a time with a small reserve, but not all (from the peaks of the other two).

Expected: out of memory is caught, the batch is halved, every run succeeds, the limit is recorded in the ledger,
and every video equals the one that was made alone. The size of a batch may change roundings, which steps enlarge;
so videos made together are compared with those made alone as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import torch

from benchmarks.gpu.measuring import COMMAND
from benchmarks.gpu.size import Size
from benchmarks.gpu.videos import RunSpec, write_runs
from cosmos_batch.dispatch.output.directory import HOME, LEDGER, MANIFEST, OUTPUT
from cosmos_batch.engines.inprocess.gpu.compiler import CACHE_VARIABLE
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.profile_store import keep_profile
from cosmos_batch.engines.registry import cache_folder, profile
from cosmos_batch.ledger import Ledger
from cosmos_batch.media.video import Frames, read_frames

POLL = 0.02  # seconds between two readings of the card's memory
SPARE = 0.3  # of what the batch takes beyond one run, left to the crowded command
_HALVED = re.compile(r"a batch of (\d+) is halved")


class SharedCard:
    """The memory of a device that several processes share. On the CPU, nothing is counted or allocated."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._taken: torch.Tensor | None = None
        if device.type == "cuda":
            torch.zeros(1, device=device)  # creates this process's context, which is not counted
        self._begin = self.free()

    def free(self) -> int:
        """Free bytes."""
        return torch.cuda.mem_get_info(self._device)[0] if self._device.type == "cuda" else 0

    def used(self) -> int:
        """Bytes that other processes have allocated since the start."""
        return self._begin - self.free() - (0 if self._taken is None else self._taken.numel())

    def take(self, count: int) -> None:
        """Allocate `count` bytes, which other processes then lack."""
        if self._device.type == "cuda":
            self._taken = torch.empty(count, dtype=torch.uint8, device=self._device)

    def give_back(self) -> None:
        """Free what was allocated."""
        self._taken = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def filling(free: int, used: int, alone: int, together: int, spare: float = SPARE) -> int:
    """Bytes to allocate of those that are free, so that a process which uses `used` can still grow to the peak of
    one run and a share of what the batch needs beyond.

    Args:
        free: free bytes of the card.
        used: bytes that the process uses now.
        alone: peak bytes of the process with one run to a batch.
        together: its peak bytes with all runs in one batch.
        spare: the share of the difference that is left to it.

    Raises ValueError where the two peaks differ by less than 2 %.
    """
    if together < 1.02 * alone:
        raise ValueError(
            f"a batch takes {together:,} bytes, and one run {alone:,}: make runs larger, or more of them"
        )
    allowed = alone + spare * (together - alone)
    return max(0, free - max(0, round(allowed) - used))


def halvings(lines: Iterable[str]) -> list[int]:
    """Sizes of the batches that a command halved, from its lines."""
    return [int(found[1]) for line in lines if (found := _HALVED.search(line))]


def apart(one: Mapping[str, Frames], other: Mapping[str, Frames]) -> dict[str, tuple[int, float]]:
    """The largest and the mean difference of the pixels of the same run, of 255, by run."""
    differences = {run: cv2.absdiff(frames, other[run]) for run, frames in one.items()}
    return {run: (int(found.max()), float(found.mean())) for run, found in differences.items()}


@dataclass
class CommandResult:
    """Exit code, time, peak memory and output of a command."""

    name: str
    code: int | None = None
    seconds: float = 0.0
    peak: int = 0  # bytes of the card
    lines: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether the command has begun its first batch."""
        return any(line.startswith("batch 1:") for line in list(self.lines))


@dataclass(frozen=True)
class CrowdingTrial:
    """The runs, the model and the folders of the commands."""

    model: Path
    work: Path
    specs: Sequence[RunSpec]
    card: SharedCard
    limit: float  # seconds after which a command is killed
    program: Sequence[str] = COMMAND

    def run(self, name: str, max_batch: int, crowd: Callable[[], None] | None = None) -> CommandResult:
        """Execute `cosmos-batch run`; `crowd` is called once its first batch has begun."""
        made = CommandResult(name)
        shutil.rmtree(self.work / name, ignore_errors=True)
        arguments = ["run", self.work / "runs.jsonl", "--engine", "transfer", "--model", self.model, "--plain"]
        arguments += ["-o", self.work / name, "--max-batch", max_batch]
        begin = time.perf_counter()
        with subprocess.Popen(
            [*self.program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self._environment(),
        ) as process:
            assert process.stdout is not None
            reader = Thread(target=lambda lines: made.lines.extend(map(str.rstrip, lines)), args=(process.stdout,))
            reader.start()
            while process.poll() is None:
                if crowd is not None and made.begun:
                    crowd()
                    crowd = None
                made.peak = max(made.peak, self.card.used())
                if time.perf_counter() - begin > self.limit:
                    process.kill()
                time.sleep(POLL)
            reader.join()
        made.code, made.seconds = process.returncode, time.perf_counter() - begin
        print(
            f"{name}: exit code {made.code} after {made.seconds:.0f} s, peak {made.peak / 2**30:.1f} GiB",
            flush=True,
        )
        return made

    def frames(self, name: str) -> dict[str, Frames]:
        """The frames of a command's videos, by run; runs without a video are missing."""
        files = {spec.id: self.work / name / spec.id / OUTPUT for spec in self.specs}
        return {run: read_frames(file) for run, file in files.items() if file.exists()}

    def states(self, name: str) -> dict[str, str]:
        """States of a command's runs, from its manifest."""
        lines = (self.work / name / MANIFEST).read_text().splitlines()
        return {line["id"]: line["state"] for line in map(json.loads, lines)}

    def limits(self, name: str, device: str) -> dict[str, int]:
        """Limits of the batch size that a command has recorded, by size."""
        ledger = Ledger(self.work / name / HOME / LEDGER)
        try:
            limits = ledger.measurements.limits("transfer", device)
            return {str(Size(shape.width, shape.height, shape.frames)): runs for shape, runs in limits.items()}
        finally:
            ledger.close()

    def _environment(self) -> dict[str, str]:
        """Environment with a cost profile of its own, and the shared cache of compiled kernels."""
        compiled = os.environ.get(CACHE_VARIABLE, str(cache_folder() / "compiled"))
        return {"XDG_CACHE_HOME": str((self.work / "cache").absolute()), CACHE_VARIABLE: compiled}


def device_name(device: torch.device) -> str:
    """The device's name in the cost profiles."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return "h100" if "H100" in name else name


def prepare(options: argparse.Namespace, device: torch.device) -> CrowdingTrial:
    """Write the runs with their videos, and a profile in which a batch of any size pays."""
    size = Size.parse(options.size)
    specs = [RunSpec(f"run{i}", ("edge",), size, options.steps, 1 + i) for i in range(options.runs)]
    write_runs(options.work, "runs", specs)
    trial = CrowdingTrial(options.model, options.work, specs, SharedCard(device), options.limit)
    prior = replace(profile("transfer", device_name(device)), knee_tokens=10_000_000, measured=1)
    keep_profile(options.work.absolute() / "cache" / "cosmos-batch" / "profiles", prior)
    return trial


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all three commands, compare the videos, and print."""
    parser = argparse.ArgumentParser(description="A card whose memory another process fills.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--size", default="320x192x93")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a command may take")
    parser.add_argument("--work", type=Path, default=Path("crowded"))
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args(arguments)
    device = pick_device()
    trial = prepare(options, device)
    alone = trial.run("alone", 1)
    together = trial.run("together", options.runs)
    taken: list[int] = []

    def crowd() -> None:
        if device.type == "cuda":
            card = trial.card
            taken.append(filling(card.free(), card.used(), alone.peak, together.peak))
            card.take(taken[0])

    crowded = trial.run("crowded", options.runs, crowd)
    trial.card.give_back()
    frames = {command.name: trial.frames(command.name) for command in (alone, together, crowded)}
    found: dict[str, Any] = {
        "bytes of the other process": taken,
        "halved batches of": halvings(crowded.lines),
        "recorded limits": trial.limits("crowded", device_name(device)),
        "states": trial.states("crowded"),
        "crowded against alone": apart(frames["crowded"], frames["alone"]),
        "together against alone": apart(frames["together"], frames["alone"]),
        "commands": [asdict(command) for command in (alone, together, crowded)],
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    print("\n".join(crowded.lines[-40:]))
    for name, value in found.items():
        if name != "commands":
            print(f"{name}: {value}", flush=True)


if __name__ == "__main__":
    main()
