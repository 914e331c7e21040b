"""The runs of the standard scenario, and their files."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.gpu.standard_scenario import CONTROL_SETS, Scenario
from cosmos_batch.media.video import probe


def test_scenario_has_ten_runs_of_three_control_sets(tmp_path: Path) -> None:
    scenario = Scenario.parse("832x480x93:2", tmp_path)

    assert [len(spec.controls) for spec in scenario.runs] == [1] * 6 + [2] * 3 + [4]
    assert [CONTROL_SETS[tuple(spec.controls)] for spec in scenario.one_per_set] == [6, 3, 1]


def test_every_run_is_written_with_videos_of_its_own(tmp_path: Path) -> None:
    scenario = Scenario.parse("48x32x9:3", tmp_path)

    scenario.write()

    lines = [json.loads(line) for line in (scenario.folder / "runs.jsonl").read_text().splitlines()]
    videos = [video for line in lines for video in line["inputs"].values()]
    assert len(videos) == 26
    assert len({(scenario.folder / video).read_bytes() for video in videos}) == 26
    info = probe(scenario.folder / videos[0])
    assert (info.width, info.height, info.frames) == (48, 32, 9)
