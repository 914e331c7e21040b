"""A card that another process fills while a command is at work: `python -m benchmarks.gpu.crowded MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. The real `cosmos-batch run` makes the same runs, of one size, three
times, each in a process and an output folder of its own:

- alone: one run to a batch;
- together: all runs in one batch;
- crowded: all in one batch again, but as soon as it has begun, this process takes so much of the card's memory
  that what is left holds one run at a time with a little to spare, and not all (from the peaks of the other two).

Expected: out of memory is caught, the batch is halved, every run succeeds, what fits is written down in the
ledger, and every video is the one that was made alone. The size of a batch may change roundings, which steps
enlarge; so videos made together are compared with those made alone as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import torch

from benchmarks.gpu.sizes import Size
from benchmarks.gpu.videos import Wish, write_runs
from cosmos_batch.dispatch.output.directory import HOME, LEDGER, MANIFEST, OUTPUT
from cosmos_batch.engines.cost_profiles import profile
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.profile_store import keep_profile
from cosmos_batch.engines.registry import cache_folder
from cosmos_batch.ledger import Ledger
from cosmos_batch.media.video import Frames, read_frames

LOOK = 0.02  # seconds between two looks at the card
SPARE = 0.3  # of what the batch takes beyond one run, left to the crowded command
COMMAND = (sys.executable, "-c", "from cosmos_batch.cli.app import main; main()")
_HALVED = re.compile(r"a batch of (\d+) is halved")


class Card:
    """The memory of a device that several processes share; on the CPU, none is counted and none taken."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._taken: torch.Tensor | None = None
        if device.type == "cuda":
            torch.zeros(1, device=device)  # this process's own share, before anything is counted
        self._begin = self.free()

    def free(self) -> int:
        """Bytes."""
        return torch.cuda.mem_get_info(self._device)[0] if self._device.type == "cuda" else 0

    def used(self) -> int:
        """Bytes that others have taken since the beginning."""
        return self._begin - self.free() - (0 if self._taken is None else self._taken.numel())

    def take(self, count: int) -> None:
        """So many bytes, away from everybody else."""
        if self._device.type == "cuda":
            self._taken = torch.empty(count, dtype=torch.uint8, device=self._device)

    def give_back(self) -> None:
        """All that was taken."""
        self._taken = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def filling(free: int, used: int, alone: int, together: int, spare: float = SPARE) -> int:
    """Bytes to take of those that are free, so that a process which has `used` may grow to what it needs for one
    run and a share of what the batch takes beyond. Raises ValueError where the two can hardly be told apart.
    """
    if together < 1.02 * alone:
        raise ValueError(
            f"a batch takes {together:,} bytes, and one run {alone:,}: make runs larger, or more of them"
        )
    allowed = alone + spare * (together - alone)
    return max(0, free - max(0, round(allowed) - used))


def halvings(lines: Iterable[str]) -> list[int]:
    """The sizes of the batches that a command halved."""
    return [int(found[1]) for line in lines if (found := _HALVED.search(line))]


def apart(one: Mapping[str, Frames], other: Mapping[str, Frames]) -> dict[str, tuple[int, float]]:
    """The largest and the mean difference of the pixels of the same run, of 255, by run."""
    differences = {run: cv2.absdiff(frames, other[run]) for run, frames in one.items()}
    return {run: (int(found.max()), float(found.mean())) for run, found in differences.items()}


@dataclass
class Command:
    """A command that was run to its end."""

    name: str
    code: int | None = None
    seconds: float = 0.0
    peak: int = 0  # bytes of the card that it took at most
    lines: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether its first batch has begun."""
        return any(line.startswith("batch 1:") for line in list(self.lines))


@dataclass(frozen=True)
class Trial:
    """The runs, and where commands make them."""

    model: Path
    work: Path
    wishes: Sequence[Wish]
    card: Card
    limit: float  # seconds that a command may take

    def run(self, name: str, most: int, crowd: Callable[[], None] | None = None) -> Command:
        """`cosmos-batch run` with batches of so many at most; `crowd` is called once the first has begun."""
        made = Command(name)
        shutil.rmtree(self.work / name, ignore_errors=True)
        arguments = ["run", self.work / "runs.jsonl", "--engine", "transfer", "--model", self.model, "--plain"]
        arguments += ["-o", self.work / name, "--max-batch", most]
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self._environment(),
        )
        assert process.stdout is not None
        listener = Thread(target=lambda lines: made.lines.extend(map(str.rstrip, lines)), args=(process.stdout,))
        listener.start()
        while process.poll() is None:
            if crowd is not None and made.begun:
                crowd()
                crowd = None
            made.peak = max(made.peak, self.card.used())
            if time.perf_counter() - begin > self.limit:
                process.kill()
            time.sleep(LOOK)
        listener.join()
        made.code, made.seconds = process.returncode, time.perf_counter() - begin
        print(
            f"{name}: exit code {made.code} after {made.seconds:.0f} s, peak {made.peak / 2**30:.1f} GiB",
            flush=True,
        )
        return made

    def frames(self, name: str) -> dict[str, Frames]:
        """The videos that a command made, by run; those that it did not make are missing."""
        files = {wish.id: self.work / name / wish.id / OUTPUT for wish in self.wishes}
        return {run: read_frames(file) for run, file in files.items() if file.exists()}

    def states(self, name: str) -> dict[str, str]:
        """How a command's runs stand, by its manifest."""
        lines = (self.work / name / MANIFEST).read_text().splitlines()
        return {line["id"]: line["state"] for line in map(json.loads, lines)}

    def limits(self, name: str, device: str) -> dict[str, int]:
        """The runs of a batch at most that a command has learnt, by size."""
        ledger = Ledger(self.work / name / HOME / LEDGER)
        try:
            learnt = ledger.measurements.limits("transfer", device)
            return {str(Size(shape.width, shape.height, shape.frames)): runs for shape, runs in learnt.items()}
        finally:
            ledger.close()

    def _environment(self) -> dict[str, str]:
        """With a profile of its own, and the compiled kernels of all other commands."""
        compiled = os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
        return {"XDG_CACHE_HOME": str((self.work / "cache").absolute()), "TORCHINDUCTOR_CACHE_DIR": compiled}


def device_name(device: torch.device) -> str:
    """As the cost profiles have it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return "h100" if "H100" in name else name


def prepare(options: argparse.Namespace, device: torch.device) -> Trial:
    """The runs with their videos, and a profile in which a batch is worth it at any size."""
    size = Size.parse(options.size)
    wishes = [Wish(f"run{i}", ("edge",), size, options.steps, 1 + i) for i in range(options.runs)]
    write_runs(options.work, "runs", wishes)
    trial = Trial(options.model, options.work, wishes, Card(device), options.limit)
    prior = replace(profile("transfer", device_name(device)), knee_tokens=10_000_000, measured=1)
    keep_profile(options.work.absolute() / "cache" / "cosmos-batch" / "profiles", prior)
    return trial


def main() -> None:
    """Run all three, compare, and print."""
    parser = argparse.ArgumentParser(description="A card that another process fills meanwhile.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--size", default="320x192x93")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a command may take")
    parser.add_argument("--work", type=Path, default=Path("crowded"))
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
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
        "taken by the other process": taken,
        "halved batches of": halvings(crowded.lines),
        "learnt": trial.limits("crowded", device_name(device)),
        "states": trial.states("crowded"),
        "crowded against alone": apart(frames["crowded"], frames["alone"]),
        "together against alone": apart(frames["together"], frames["alone"]),
        "commands": [asdict(command) for command in (alone, together, crowded)],
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    print("\n".join(crowded.lines[-40:]))
    for name, what in found.items():
        if name != "commands":
            print(f"{name}: {what}", flush=True)


if __name__ == "__main__":
    main()
