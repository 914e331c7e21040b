"""The table of control types: complete, and in step with the formats' own fields."""

from __future__ import annotations

from typing import get_args

from cosmos_batch.controls import (
    CONTROLS,
    PRESETS,
    TRANSFER_CONTROLS,
    ControlName,
    Derivation,
    segmentation_prompt,
)
from cosmos_batch.formats.nvidia.transfer1_schema import BRANCHES
from cosmos_batch.run import Control, Run


def test_every_name_has_a_record() -> None:
    assert tuple(CONTROLS) == get_args(ControlName)


def test_transfer1_schema_has_a_field_for_every_control_of_transfer1() -> None:
    assert set(BRANCHES) == {control.transfer1 for control in CONTROLS.values() if control.transfer1}


def test_transfer_controls_are_sorted() -> None:
    assert TRANSFER_CONTROLS == ("depth", "edge", "seg", "vis")


def test_controls_computed_from_pixels_are_those_with_a_preset() -> None:
    pixels = {control.name for control in CONTROLS.values() if control.derivation is Derivation.PIXELS}
    assert pixels == set(PRESETS.values())


def test_presets_of_a_run_are_named_by_their_setting() -> None:
    controls = (
        Control(name="edge", weight=1, preset="high"),
        Control(name="vis", weight=0, preset="low"),
        Control(name="seg", weight=1),
    )
    run = Run(id="a", prompt="a street", controls=controls, video="/in.mp4")
    assert run.presets == {"canny_threshold": "high", "blur_strength": "low"}


def test_segmentation_prompt_is_the_first_128_words() -> None:
    assert segmentation_prompt("word " * 200) == " ".join(["word"] * 128)
