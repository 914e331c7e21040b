"""The benchmark of autoencoders on the CPU, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu.autoencoder import main
from benchmarks.gpu.models import Setup


def test_three_autoencoders_are_compared(model: Path, setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(model), "--sizes", "48x32x5"], setup)

    lines = capsys.readouterr().out.splitlines()
    names = [line.split(" | ")[1] for line in lines if line.startswith("| 48x32x5")]
    assert names == ["diffusers", "ours, operators", "ours, kernels"]
    assert sum(line.endswith("in decoding") for line in lines) == 3
