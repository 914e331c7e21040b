"""Episodes and frames are numbered without gaps after some were left out."""

from __future__ import annotations

from cosmos_batch.datasets.lerobot.numbering import Numbering


def test_numbers_have_no_gap() -> None:
    numbering = Numbering(lengths=(5, 7, 6, 2), kept=(0, 2, 3))
    assert not numbering.is_whole
    assert numbering.new_index == {0: 0, 2: 1, 3: 2}
    assert numbering.first_frames == {0: 0, 2: 5, 3: 11}
    assert numbering.frame_shift == {0: 0, 2: -7, 3: -7}
    assert numbering.frames == 13


def test_splits_follow_the_episodes_that_stay() -> None:
    numbering = Numbering(lengths=(5, 7, 6, 2), kept=(0, 2, 3))
    splits = [numbering.split(text) for text in ("0:2", "2:4", "1:2", "all")]
    assert splits == ["0:1", "1:3", "1:1", "all"]
