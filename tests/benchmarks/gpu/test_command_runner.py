"""Runs executed in this process, with the time of every part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.gpu.command_runner import CommandRunner
from benchmarks.gpu.size import Size
from benchmarks.gpu.standard_scenario import Scenario


def test_seconds_of_a_command_are_the_sum_of_its_parts(model: Path, tmp_path: Path) -> None:
    scenario = Scenario(Size(48, 32, 9), 3, folder=tmp_path)
    scenario.write()
    runner = CommandRunner(model, tmp_path / "controls", torch.device("cpu"))

    made = runner.make(runner.requests(scenario.folder / "runs.jsonl"), scenario.folder / "out")

    assert sorted(run for batch in made.batches for run in batch.runs) == sorted(made.frames)
    assert len(made.frames) == 10
    assert all(len(batch.steps) == 3 for batch in made.batches)
    assert all(min(*batch.steps, batch.joining, batch.finishing) > 0 for batch in made.batches)
    assert min(made.parts[name] for name in ("joining", "finishing", "waiting")) > 0
    assert made.step == sum(batch.step for batch in made.batches)
    assert 3 * made.step + sum(made.parts.values()) == pytest.approx(made.seconds)
