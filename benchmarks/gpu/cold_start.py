"""From a command to its first step: `python -m benchmarks.gpu.cold_start MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. The real command makes one small run, in a process of its own each:

- fresh: nothing is kept of earlier processes: kernels are compiled, and the text encoder is loaded;
- again: another seed with the same prompts, so that kernels and texts are found;
- new prompt: a prompt that no process has read, so that the text encoder is loaded;
- warmed: with what `cosmos-batch warm` keeps, in a folder where nothing else was made;
- nothing to make: the first command once more.

Before, the weights are read once, so that they are in the page cache, and all modules are imported once, so that
their bytecode is on disk, as it is where pip has installed them. Columns are the seconds of the parts in which
the first step is reached; the last one is the whole command.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.gpu.measuring import COMMAND
from benchmarks.gpu.size import Size
from benchmarks.gpu.timed_command import MOMENTS, PARTS
from benchmarks.gpu.videos import RunSpec, write_runs
from cosmos_batch.engines.inprocess.gpu.compiler import CACHE_VARIABLE

IMPORTED = (
    "cosmos_batch.cli.commands.run",
    "cosmos_batch.engines.inprocess.loader",
    "triton.backends.nvidia.compiler",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
)
TIMED = (sys.executable, "-m", "benchmarks.gpu.timed_command")
FIRST_STEP = "first step after"


@dataclass(frozen=True)
class StartTimes:
    """Seconds of a command."""

    name: str
    parts: dict[str, float] = field(default_factory=dict)  # until the first step
    seconds: float = 0.0  # of the whole command

    @property
    def first_step(self) -> float | None:
        """Seconds from the start of the process until the first step is done; None: there was none."""
        return sum(self.parts.values()) if PARTS[-1] in self.parts else None


@dataclass(frozen=True)
class ColdStart:
    """The model and the folders of the commands."""

    model: Path
    work: Path

    def command(self, name: str, runs: Path, out: str, kept: str, timed: Sequence[str] = TIMED) -> StartTimes:
        """Execute `cosmos-batch run`. Raises AssertionError where it fails.

        Args:
            name: of the row in the table.
            runs: file of runs.
            out: folder of the outputs.
            kept: folder of what is kept between processes.
            timed: the command, with its moments.
        """
        moments = self.work / "moments.txt"
        moments.unlink(missing_ok=True)
        arguments = ["run", runs, "--engine", "transfer", "--model", self.model, "--plain", "-o", self.work / out]
        environment = self._environment(kept) | {MOMENTS: str(moments)}
        began, begin = time.time(), time.perf_counter()
        made = subprocess.run([*timed, *map(str, arguments)], env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        assert made.returncode == 0, made.stdout + made.stderr
        found = dict(reversed([line.split("\t") for line in moments.read_text().splitlines()]))
        ends = [began, *(float(found[part]) for part in PARTS if part in found)]
        parts = [end - before for before, end in pairwise(ends)]
        times = StartTimes(name, dict(zip(PARTS, parts, strict=False)), seconds)
        print(_row(times), flush=True)
        return times

    def warm(self, kept: str) -> float:
        """Execute `cosmos-batch warm` in a new folder; returns its seconds."""
        begin = time.perf_counter()
        arguments = ["warm", self.work / "first.jsonl", "--engine", "transfer", "--model", self.model]
        subprocess.run([*COMMAND, *map(str, arguments)], env=self._environment(kept), check=True)
        return time.perf_counter() - begin

    def import_all(self) -> None:
        """Import what the command may import, so that its bytecode is on disk."""
        script = "import importlib, contextlib\nfor name in " + repr(IMPORTED)
        script += ":\n    with contextlib.suppress(ImportError): importlib.import_module(name)"
        subprocess.run([sys.executable, "-c", script], env=self._environment("imports"), check=True)

    def _environment(self, kept: str) -> dict[str, str]:
        left_out = (CACHE_VARIABLE, "PYTHONDONTWRITEBYTECODE")
        names = {key: value for key, value in os.environ.items() if key not in left_out}
        folders = {"XDG_CACHE_HOME": kept, "PYTHONPYCACHEPREFIX": "bytecode"}
        return names | {name: str((self.work / folder).absolute()) for name, folder in folders.items()}


def read_files(folder: Path) -> float:
    """Read all files of a folder, so that they are in the page cache; returns GB."""
    total = 0
    for file in folder.rglob("*.safetensors"):
        with file.open("rb", buffering=0) as handle:
            while part := handle.read(1 << 26):
                total += len(part)
    return total / 1e9


def measure(trial: ColdStart, size: Size, steps: int) -> tuple[list[StartTimes], float]:
    """Execute all commands; returns their times, and that of `cosmos-batch warm`."""
    shutil.rmtree(trial.work, ignore_errors=True)
    first = RunSpec("first", ("edge",), size, steps, 1)
    later = [replace(first, id="again"), replace(first, id="other", seed=2)]
    runs, again, other = (write_runs(trial.work, spec.id, [spec]) for spec in (first, *later))
    trial.import_all()
    found = [trial.command("fresh", runs, "out", "kept"), trial.command("again", again, "again", "kept")]
    found.append(trial.command("new prompt", other, "other", "kept"))
    warming = trial.warm("warmed")
    found.append(trial.command("warmed", again, "warmed-out", "warmed"))
    return [*found, trial.command("nothing to make", runs, "out", "kept")], warming


def _row(times: StartTimes) -> str:
    parts = " | ".join(f"{times.parts[part]:.2f}" if part in times.parts else "" for part in PARTS)
    step = "" if times.first_step is None else f"{times.first_step:.2f}"
    return f"| {times.name} | {parts} | {step} | {times.seconds:.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute the commands, and print a table."""
    parser = argparse.ArgumentParser(description="From a command to its first step.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--size", type=Size.parse, default=Size.parse("320x192x93"))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path("/tmp/cold-start"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    print(f"{read_files(options.model):.1f} GB of weights are in the page cache", flush=True)
    found, warming = measure(ColdStart(options.model, options.work), options.size, options.steps)
    heads = ["command", *PARTS, FIRST_STEP, "whole command"]
    print("\n" + "\n".join(["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|", *map(_row, found)]))
    print(f"cosmos-batch warm: {warming:.1f} s")
    if options.json:
        rows = [asdict(times) | {"first_step": times.first_step} for times in found]
        options.json.write_text(json.dumps({"rows": rows, "warm": warming}, indent=1))


if __name__ == "__main__":
    main()
