"""The distilled model against the general one on the CPU, both tiny, by the engine and the dispatcher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu.distilled import idle_share, main


def test_both_models_make_whole_videos(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, work = tmp_path / "result.json", tmp_path / "work"
    sizes = ["--sizes", "48x32x9:2", "--videos", "2", "--steps", "36"]

    main([str(model), *sizes, "--work", str(work), "--json", str(file)])

    found = json.loads(file.read_text())["48x32x9"]
    assert list(found) == ["general", "distilled"]
    assert all(one["seconds"] > 0 and one["predicted"] > 0 for one in found.values())
    assert found["general"]["seconds"] == pytest.approx(found["general"]["beside"] + 36 * found["general"]["step"])
    assert sorted(path.parent.name for path in (work / "48x32x9" / "out").glob("*/output.mp4")) == [
        "transfer-distilled-0",
        "transfer-distilled-1",
    ]
    assert sum(line.startswith("| 48x32x9 |") for line in capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("spans", "idle"),
    [
        ([(0.0, 4.0)], 0.0),
        ([(0.0, 4.0), (6.0, 8.0)], 0.25),
        ([(6.0, 8.0), (0.0, 4.0), (1.0, 2.0), (3.0, 6.0)], 0.0),  # one within another, two that overlap
        ([(2.0, 3.0), (5.0, 6.0)], 0.5),  # before the first nothing counts
    ],
)
def test_time_that_no_span_covers_is_idle(spans: list[tuple[float, float]], idle: float) -> None:
    assert idle_share(spans) == pytest.approx(idle)
