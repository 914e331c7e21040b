"""`python -m benchmarks.gpu` on the CPU, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.models import Setup


def test_both_tables_are_printed_with_errors(
    setup: Setup, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    sizes = "48x32x5"

    main(
        [
            "--sizes",
            f"{sizes}:1,{sizes}:2",
            "--float32",
            sizes,
            "--repeats",
            "1",
            "--side",
            "16",
            "--json",
            str(file),
        ],
        setup,
    )

    result = json.loads(file.read_text())
    assert [row["batch"] for row in result["rows"]] == [1, 2]
    assert 0 < result["errors"][sizes]["ours"] < 0.05
    assert 0 < result["errors"][sizes]["diffusers"] < 0.05
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(f"| {sizes} |")]
    assert len(rows) == 3 + 4  # diffusers' numbers stand once in the first table
    assert rows[0].count("%") == 2
