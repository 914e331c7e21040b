"""What the GPU benchmarks reckon with, on the CPU: the parts of a command's time, and how a card is filled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.crowded import apart, filling, halvings
from benchmarks.gpu.dispatched import Maker
from benchmarks.gpu.sizes import Size
from benchmarks.gpu.tasks import KINDS, Task
from cosmos_batch.media.video import probe
from tests.engines.inprocess.test_loader import CPU, TINY, write_model, write_trigram

GIB = 2**30


def test_the_scenario_is_ten_runs_of_three_kinds(tmp_path: Path) -> None:
    task = Task.parse("832x480x93:2", tmp_path)

    assert [len(wish.controls) for wish in task.ours] == [1] * 6 + [2] * 3 + [4]
    assert [KINDS[tuple(wish.controls)] for wish in task.of_each_kind] == [6, 3, 1]


def test_every_run_is_written_with_videos_of_its_own(tmp_path: Path) -> None:
    task = Task.parse("48x32x9:3", tmp_path)

    task.write()

    lines = [json.loads(line) for line in (task.folder / "runs.jsonl").read_text().splitlines()]
    videos = [video for line in lines for video in line["inputs"].values()]
    assert len(videos) == 26
    assert len({(task.folder / video).read_bytes() for video in videos}) == 26
    facts = probe(task.folder / videos[0])
    assert (facts.width, facts.height, facts.frames) == (48, 32, 9)


def test_a_command_s_time_is_all_in_its_parts(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", TINY, write_trigram, CPU)
    task = Task(Size(48, 32, 9), 3, folder=tmp_path)
    task.write()
    maker = Maker(model, tmp_path / "controls", CPU)

    made = maker.make(maker.requests(task.folder / "runs.jsonl"), task.folder / "out")

    assert sorted(run for batch in made.batches for run in batch.runs) == sorted(made.frames)
    assert len(made.frames) == 10
    assert all(len(batch.steps) == 3 for batch in made.batches)
    assert all(min(*batch.steps, batch.joining, batch.finishing) > 0 for batch in made.batches)
    assert min(made.parts[name] for name in ("joining", "finishing", "waiting")) > 0
    assert made.step == sum(batch.step for batch in made.batches)
    assert 3 * made.step + sum(made.parts.values()) == pytest.approx(made.seconds)


# free, used, peak of one run, peak of the batch -> what is left to the command, in GiB
@pytest.mark.parametrize(
    ("free", "used", "alone", "together", "left"),
    [
        (58, 20, 22, 32, 5.0),  # it may grow to 22 and three tenths of the 10 that the batch takes beyond
        (55, 23, 22, 32, 2.0),
        (50, 28, 22, 32, 0.0),  # it has more than that already
        (3, 20, 22, 32, 3.0),  # there is less than it may have
    ],
)
def test_the_other_process_leaves_room_for_one_run(
    free: int, used: int, alone: int, together: int, left: float
) -> None:
    taken = filling(free * GIB, used * GIB, alone * GIB, together * GIB)

    assert free * GIB - taken == pytest.approx(left * GIB, rel=1e-6)


def test_a_card_is_not_filled_where_the_batch_takes_hardly_more_than_one_run() -> None:
    with pytest.raises(ValueError, match="make runs larger"):
        filling(50 * GIB, 20 * GIB, 22 * GIB, 22 * GIB)


def test_halvings_are_read_off_what_a_command_says() -> None:
    lines = ["batch 1: a, b, c, d", "a batch of 4 is halved: CUDA out of memory", "a batch of 2 is halved: again"]

    assert halvings(lines) == [4, 2]


def test_videos_are_compared_pixel_by_pixel() -> None:
    grey = np.full((2, 4, 4, 3), 100, np.uint8)
    spot = grey.copy()
    spot[0, 0, 0] = 91

    assert apart({"a": grey, "b": grey}, {"a": grey, "b": spot}) == {"a": (0, 0.0), "b": (9, 27 / 96)}
