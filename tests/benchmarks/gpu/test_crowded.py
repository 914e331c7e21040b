"""A card whose memory another process fills: the reckoning, and the whole benchmark on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.crowded import apart, filling, halvings, main

GIB = 2**30


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
def test_the_other_process_leaves_memory_for_one_run(
    free: int, used: int, alone: int, together: int, left: float
) -> None:
    taken = filling(free * GIB, used * GIB, alone * GIB, together * GIB)

    assert free * GIB - taken == pytest.approx(left * GIB, rel=1e-6)


def test_card_is_not_filled_where_the_batch_takes_hardly_more_than_one_run() -> None:
    with pytest.raises(ValueError, match="make runs larger"):
        filling(50 * GIB, 20 * GIB, 22 * GIB, 22 * GIB)


def test_halvings_are_read_from_the_output_of_a_command() -> None:
    lines = ["batch 1: a, b, c, d", "a batch of 4 is halved: CUDA out of memory", "a batch of 2 is halved: again"]

    assert halvings(lines) == [4, 2]


def test_videos_are_compared_pixel_by_pixel() -> None:
    grey = np.full((2, 4, 4, 3), 100, np.uint8)
    spot = grey.copy()
    spot[0, 0, 0] = 91

    assert apart({"a": grey, "b": grey}, {"a": grey, "b": spot}) == {"a": (0, 0.0), "b": (9, 27 / 96)}


def test_three_commands_make_equal_videos_where_memory_suffices(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    sizes = ["--size", "48x32x9", "--runs", "2", "--steps", "2"]

    main([str(model), *sizes, "--work", str(tmp_path / "work"), "--json", str(file)])

    found = json.loads(file.read_text())
    assert [command["code"] for command in found["commands"]] == [0, 0, 0]
    assert found["states"] == {"run0": "succeeded", "run1": "succeeded"}
    assert found["halved batches of"] == []
    assert found["crowded against alone"].keys() == {"run0", "run1"}
