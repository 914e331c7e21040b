"""The benchmark of batching windows, with few runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import windows


def test_cases_and_a_trace_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.csv"
    lines = [f"2024-11-15 {n // 60 % 24:02}:{n % 60:02}:00,M{n % 3}" for n in range(1440)]
    trace.write_text("\n".join(["gmt_create,checkpoint_model_version_id", *lines]))
    windows.main(["--runs", "1250", "--seeds", "1", "--cases", "1", "--processes", "1", "--trace", str(trace)])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in printed[2:4]] == ["steady, 1 device"] * 2
    assert printed[4].startswith("| **mean**")
    assert len(printed) == 12


def test_a_stream_is_the_same_for_the_same_seed() -> None:
    case = windows.CASES[4]
    assert windows.stream(case, 50, 1) == windows.stream(case, 50, 1) != windows.stream(case, 50, 2)
