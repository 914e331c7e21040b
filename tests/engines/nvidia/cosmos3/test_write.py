"""The files of Cosmos 3: aspect ratio, rate and control names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.run import Control
from tests.support.clips import clip
from tests.support.nvidia_files import planned, records, run_of


def test_aspect_ratio_is_written(tmp_path: Path) -> None:
    """The script's default is 16:9, regardless of the input."""
    upright = str(clip(tmp_path / "upright.mp4", width=36, height=64))
    depth = Control(name="depth", weight=0.25, video=upright)
    run = replace(run_of("a", upright), controls=(depth, Control(name="vis", weight=0.75, preset="high")))
    (launch,) = planned([run], "cosmos3").launches

    written = write_cosmos3(launch, tmp_path)

    (record,) = records(written)
    assert (record["resolution"], record["aspect_ratio"]) == ("720", "9,16")
    assert record["depth"] == {"weight": 0.25, "control_path": upright}
    assert record["blur"] == {"weight": 0.75, "preset_blur_strength": "high"}
    assert (record["control_guidance"], record["num_video_frames_per_chunk"]) == (1.0, 93)
    (sample,) = written.samples
    assert sample.video == written.outputs / "a" / "vision.mp4"
    assert sample.controls["vis"] == written.outputs / "a" / "control_blur.mp4"
    assert sample.expected == VideoInfo(720, 1280, 6, 8.0)


def test_rate_is_written_without_an_input_video(tmp_path: Path, street: str) -> None:
    wsm = (Control(name="wsm", weight=1.0, video=str(clip(tmp_path / "wsm.mp4"))),)
    run = replace(run_of("a", street), controls=wsm, video=None)
    (launch,) = planned([run], "cosmos3").launches

    (record,) = records(write_cosmos3(launch, tmp_path))

    assert "vision_path" not in record
    assert record["fps"] == 8
    assert (record["control_guidance"], record["num_video_frames_per_chunk"]) == (3.0, 101)


def test_file_name_that_is_a_pattern_is_refused(tmp_path: Path, street: str) -> None:
    (launch,) = planned([run_of("a", street, edge=1.0)], "cosmos3").launches
    with pytest.raises(PlanError, match="takes '\\*' in a file's name for a pattern"):
        write_cosmos3(launch, tmp_path / "a*b")
