"""An output of a script becomes a run's: the same pictures, with the run's fingerprint beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.base import Job
from cosmos_batch.engines.nvidia.collect import collect_output
from cosmos_batch.errors import MediaError
from cosmos_batch.media.verify import check_video
from cosmos_batch.media.video import read_frames
from cosmos_batch.run import Control, Run
from tests.support.clips import clip
from tests.support.runs import resolved

RUN = resolved(Run(id="r", prompt="a street", controls=(Control(name="edge", weight=1.0),)))


def job(tmp_path: Path) -> Job:
    (tmp_path / "job").mkdir()
    return Job(RUN, tmp_path / "job", tmp_path / "state")


def test_output_keeps_its_frames_and_gets_the_fingerprint(tmp_path: Path) -> None:
    made, control = clip(tmp_path / "made.mp4"), clip(tmp_path / "edge.mp4", frames=3)
    place = job(tmp_path)

    collect_output(made, {"edge": control}, place)

    output = place.folder / "output.mp4"
    check_video(output, frames=6, width=64, height=48, fps=8, fingerprint=RUN.fingerprint)
    assert np.array_equal(read_frames(output), read_frames(made))
    assert (place.folder / "control_edge.mp4").read_bytes() == control.read_bytes()


@pytest.mark.parametrize("contents", [b"", b"no video"])
def test_output_that_is_no_video_is_a_media_error(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "made.mp4").write_bytes(contents)
    place = job(tmp_path)

    with pytest.raises(MediaError, match=r"made\.mp4"):
        collect_output(tmp_path / "made.mp4", {}, place)

    assert list(place.folder.iterdir()) == []
