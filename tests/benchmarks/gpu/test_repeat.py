"""Whether a video made again is the same: a killed and continued command against one left alone, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.gpu.repeat import RepeatTrial, compared
from benchmarks.gpu.size import Size
from benchmarks.gpu.videos import RunSpec, write_runs


def test_killed_and_continued_command_makes_the_same_bits(model: Path, tmp_path: Path) -> None:
    specs = [RunSpec("run", ("edge",), Size.parse("48x32x9"), 300, 1)]
    write_runs(tmp_path, "runs", specs)
    trial = RepeatTrial(model, tmp_path, specs)

    seconds = trial.run("first", "kept")
    killed = trial.kill("resumed", "kept", every=0.05)
    trial.run("resumed", "kept")

    row = compared("resumed", trial.frames("resumed"), trial.frames("first"), seconds, killed)
    assert (row.largest, row.psnr, row.killed) == (0, None, 1)


def test_videos_that_differ_are_described() -> None:
    grey = np.full((2, 4, 4, 3), 100, np.uint8)
    spot = grey.copy()
    spot[0, 0, 0] = 91

    row = compared("second", {"a": grey, "b": spot}, {"a": grey, "b": grey}, 3.0)

    assert row.largest == 9
    assert row.psnr is not None
    assert 40 < row.psnr < 45
