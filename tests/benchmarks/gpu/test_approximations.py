"""The benchmark of approximations on the CPU, at a tiny size."""

from __future__ import annotations

import pytest

from benchmarks.gpu.approximations import main
from benchmarks.gpu.models import Setup


def test_the_table_has_speed_and_errors(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "48x32x5,64x32x5", "--steps", "12"], setup, variants=((),))

    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("| ") and "exact |" in line and "x" in line.split("|")[1]]
    assert [row.split(" | ")[0] for row in rows] == ["| 48x32x5", "| 64x32x5"]
    assert rows[0].endswith("% |")
    assert float(rows[0].split(" | ")[-1].rstrip("% |")) < 5
    assert "step caching at 48x32x5: 12 steps" in lines[-1]
