"""The benchmark of batches on the CPU, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.gpu.batches import main
from benchmarks.gpu.models import Setup

SIZES = "48x32x5,64x32x5,64x48x5"


def test_every_part_is_measured(setup: Setup, tmp_path: Path) -> None:
    file = tmp_path / "result.json"

    main(["--sizes", SIZES, "--json", str(file)], setup)

    found = json.loads(file.read_text())
    assert len(found) == 1 + 8
    assert found["ragged 48x32x5"]["parts"] > 0
    assert found["replaying 48x32x5, 8"]["recorded: difference"] == 0  # nothing is recorded on the CPU
    assert found["checkpointing 64x48x5"]["mib"] > 0
