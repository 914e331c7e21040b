"""Warnings on the command line: printed, counted, and problems with --strict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.engines.registry import BuiltInEngines, Engines
from tests.support.cli_launcher import SimulatedEngines
from tests.support.clips import clip, timed_clip
from tests.support.dispatch_world import make_input
from tests.support.run_files import write_runs


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, engines: Engines | None = None) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main(engines or SimulatedEngines())
    return int(ended.value.code or 0)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Videos that do not fit together."""
    clip(tmp_path / "in.mp4", frames=12, fps=24)
    clip(tmp_path / "short.mp4", frames=5, fps=24)
    clip(tmp_path / "slow.mp4", frames=12, fps=5)
    clip(tmp_path / "still.mp4", frames=1)
    clip(tmp_path / "upright.mp4", frames=12, fps=24, width=48, height=64)
    timed_clip(tmp_path / "uneven.mp4", [0, 40, 140, 180, 280, 320, 420, 460, 560, 600, 700, 740])
    timed_clip(tmp_path / "gap.mp4", [42 * i + (5000 if i > 5 else 0) for i in range(12)])
    return tmp_path


@pytest.mark.parametrize(
    ("video", "depth", "expected"),
    [
        (
            "in",
            "short",
            ['inputs.depth = "short.mp4"', "has 5 frames: 7 of 12 frames of the input video are not used"],
        ),
        (
            "in",
            "slow",
            ["inputs.depth", "5 frames per second and the input video 24", "2.4 s of it go with 0.5 s"],
        ),
        ("still", "in", ["inputs.video", "is a still picture", "11 of 12 frames of the depth video are not used"]),
        ("in", "still", ["inputs.depth", "is a still picture", "11 of 12 frames of the input video are not used"]),
        ("in", "upright", ["inputs.depth", "48x64 pixels and the input video 64x48", "stretched"]),
        (
            "uneven",
            "in",
            ["inputs.video", "variable frame rate, 40 to 100 ms between frames", "14.86 per second"],
        ),
        ("gap", "in", ["inputs.video", "gap of 5.04 s", "2.01 per second"]),
    ],
)
def test_misfit_is_a_warning_and_a_problem_with_strict(
    videos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    video: str,
    depth: str,
    expected: list[str],
) -> None:
    inputs = {"video": f"{video}.mp4", "depth": f"{depth}.mp4"}
    weights = {"weights": {"depth": 1}}
    file = write_runs(videos / "runs.jsonl", ["good", "odd"], execution_config=weights, inputs=inputs)
    good, odd = (json.loads(line) for line in file.read_text().splitlines())
    good["inputs"] = {"video": "in.mp4", "depth": "in.mp4"}
    file.write_text(f"{json.dumps(good)}\n{json.dumps(odd)}\n")

    assert call(monkeypatch, "check", file) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if all(part in line for part in expected)]
    assert len(lines) == 1, printed.err
    assert lines[0].startswith(f"warning: {file}:2: ")
    assert f"2 runs, no problem, {len(printed.err.splitlines())} warning" in printed.out

    assert call(monkeypatch, "check", file, "--strict") == 2
    printed = capsys.readouterr()
    assert lines[0].removeprefix("warning: ") in printed.err.splitlines()
    assert not any(line.startswith("warning") for line in printed.err.splitlines())
    assert printed.out == ""


def test_input_without_misfits_has_no_warning(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_runs(videos / "runs.jsonl", ["a"])

    assert call(monkeypatch, "check", file, "--strict") == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("1 run, no problem\n", "")


def misfit(videos: Path, ids: list[str]) -> Path:
    """A good run named "good", and runs whose depth video is too short."""
    file = write_runs(
        videos / "runs.jsonl",
        ["good", *ids],
        inputs={"video": "tiny.mp4", "depth": "tiny_short.mp4"},
        execution_config={"weights": {"depth": 1}},
    )
    make_input(videos / "tiny.mp4")
    clip(videos / "tiny_short.mp4", frames=1, width=32, height=32)
    records: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    records[0]["inputs"]["depth"] = "tiny.mp4"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def test_plan_lists_warnings_and_goes_on(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = misfit(videos, ["odd"])

    assert call(monkeypatch, "plan", file) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"warning: {file}:2: inputs.depth")
    assert "2 runs" in printed.out

    assert call(monkeypatch, "plan", file, "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    ((warning,), runs) = plan["warnings"], plan["runs"]
    assert runs == 2
    assert {**warning, "message": "", "remedy": ""} == {
        "file": str(file),
        "line": 2,
        "field": "inputs.depth",
        "found": '"tiny_short.mp4"',
        "message": "",
        "remedy": "",
    }


def test_strict_plan_and_run_do_nothing_or_skip_the_run(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = misfit(videos, ["odd"]), videos / "out"

    assert call(monkeypatch, "plan", file, "--strict") == 2
    assert "1 problem\n" in capsys.readouterr().err
    assert call(monkeypatch, "run", file, "-o", out, "--strict") == 2
    assert not (out / "good").exists()
    assert call(monkeypatch, "run", file, "-o", out, "--strict", "--skip-invalid") == 0
    assert (out / "good" / "output.mp4").exists()
    assert not (out / "odd").exists()
    assert call(monkeypatch, "run", file, "-o", out) == 0
    assert (out / "odd" / "output.png").exists()


def test_many_warnings_are_cut_in_a_plan_and_whole_in_check(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = misfit(videos, [f"odd{number}" for number in range(23)])

    call(monkeypatch, "plan", file)
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-1]) == (21, "and 3 more warnings; cosmos-batch check prints all of them")
    call(monkeypatch, "check", file)
    assert len(capsys.readouterr().err.splitlines()) == 23


def test_fields_are_those_of_the_format(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = {"name": "a", "prompt": "x", "video_path": "in.mp4", "depth": {"control_path": "short.mp4"}}
    file = videos / "sample.json"
    file.write_text(json.dumps(sample))

    assert call(monkeypatch, "check", file, "--engine", "transfer25", engines=BuiltInEngines()) == 0
    assert f'warning: {file}: depth.control_path = "short.mp4": has 5 frames' in capsys.readouterr().err
