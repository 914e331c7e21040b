"""From a command to its first step: the parts of one command on the CPU, and of one with nothing to make."""

from __future__ import annotations

from pathlib import Path

from benchmarks.gpu.cold_start import ColdStart, read_files
from benchmarks.gpu.size import Size
from benchmarks.gpu.timed_command import PARTS
from benchmarks.gpu.videos import RunSpec, write_runs


def test_parts_add_up_to_the_first_step_of_a_command(model: Path, tmp_path: Path) -> None:
    trial = ColdStart(model, tmp_path)
    runs = write_runs(tmp_path, "first", [RunSpec("first", ("edge",), Size.parse("48x32x9"), 2, 1)])

    made = trial.command("fresh", runs, "out", "kept")
    nothing = trial.command("nothing to make", runs, "out", "kept")

    assert tuple(made.parts) == PARTS
    assert made.first_step is not None
    assert all(seconds >= 0 for seconds in made.parts.values())
    assert made.first_step < made.seconds
    assert (tuple(nothing.parts), nothing.first_step) == (PARTS[:1], None)


def test_weights_are_read(model: Path) -> None:
    total = sum(file.stat().st_size for file in model.rglob("*.safetensors"))
    assert read_files(model) * 1e9 == total
