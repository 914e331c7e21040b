"""Suggestions for misspelt and foreign names."""

from __future__ import annotations

import pytest

from cosmos_batch.formats.close_names import closest, edit_distance

BRANCH = ("control_path", "control_weight", "mask_path", "mask_prompt", "preset_edge_threshold")
SAMPLE = (
    "name",
    "prompt",
    "prompt_path",
    "video_path",
    "max_frames",
    "num_steps",
    "guidance",
    "edge",
    "vis",
    "depth",
)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        # The name of the same field in another format.
        ("input_control", BRANCH, "control_path"),
        ("weight", BRANCH, "control_weight"),
        ("canny_threshold", BRANCH, "preset_edge_threshold"),
        ("visual_input", SAMPLE, "video_path"),
        ("num_frames", SAMPLE, "max_frames"),
        ("id", SAMPLE, "name"),
        ("blur", SAMPLE, "vis"),
        ("num_inference_steps", SAMPLE, "num_steps"),
        # Slips of the keyboard.
        ("controlpath", BRANCH, "control_path"),
        ("path_control", BRANCH, "control_path"),
        ("Control-Path", BRANCH, "control_path"),
        ("contol_paht", BRANCH, "control_path"),
        ("depht", SAMPLE, "depth"),
        ("prmopt", SAMPLE, "prompt"),
        ("guidence", SAMPLE, "guidance"),
        # Nothing that is close.
        ("brightness", SAMPLE, None),
        ("x", SAMPLE, None),
        ("", SAMPLE, None),
        ("p" * 100_000, SAMPLE, None),
    ],
)
def test_closest_name(word: str, known: tuple[str, ...], meant: str | None) -> None:
    assert closest(word, known) == meant


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("", "ab", 2), ("kitten", "sitting", 3)],
)
def test_edits_between_two_words(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other, 3) == edits == edit_distance(other, one, 3)


def test_lengths_too_far_apart_are_not_compared() -> None:
    assert edit_distance("a", "abcdef", 3) == 4
