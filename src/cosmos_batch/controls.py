"""Control types: one record each. Command line, checks, formats, planner, engines, API and page read them.

Adding a control type is two files: its record here, and its fields in the format that names it (`formats/`) or its
maker (`media/controls/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

ControlName = Literal["edge", "vis", "depth", "seg", "keypoint", "hdmap", "lidar", "upscale", "wsm"]


class Derivation(Enum):
    """The method by which a control's video is made from the input video, where the run gives none."""

    PIXELS = "pixels"  # computed from the pixels, by a preset: media/controls/pixels.py
    MODEL = "model"  # estimated by a depth or segmentation model: media/controls/estimators.py
    SCRIPT = "script"  # only by NVIDIA's own script
    NONE = "none"  # not at all: the run must give it


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlType:
    """One kind of control. A name of None: the format or model does not have this control."""

    name: ControlName
    about: str  # one line, for people who choose a control
    derivation: Derivation
    preset: str | None = None  # the setting of native runs, of the API and of Transfer1 that holds its preset
    script_preset: str | None = None  # the same in the files of Transfer2.5 and Cosmos 3
    transfer1: str | None = None  # name in a spec of Transfer1
    transfer25: str | None = None  # name in a sample of Transfer2.5
    cosmos3: str | None = None  # name in a sample of Cosmos 3
    checkpoint: str | None = None  # name of its branch among the published weights of Transfer2.5


CONTROLS: Mapping[str, ControlType] = {
    control.name: control
    for control in (
        ControlType(
            name="edge",
            about="outlines of the input",
            derivation=Derivation.PIXELS,
            preset="canny_threshold",
            script_preset="preset_edge_threshold",
            transfer1="edge",
            transfer25="edge",
            cosmos3="edge",
            checkpoint="edge",
        ),
        ControlType(
            name="vis",
            about="a blurred look of the input",
            derivation=Derivation.PIXELS,
            preset="blur_strength",
            script_preset="preset_blur_strength",
            transfer1="vis",
            transfer25="vis",
            cosmos3="blur",
            checkpoint="blur",
        ),
        ControlType(
            name="depth",
            about="how far things are",
            derivation=Derivation.MODEL,
            transfer1="depth",
            transfer25="depth",
            cosmos3="depth",
            checkpoint="depth",
        ),
        ControlType(
            name="seg",
            about="which things are where",
            derivation=Derivation.MODEL,
            transfer1="seg",
            transfer25="seg",
            cosmos3="seg",
            checkpoint="seg",
        ),
        ControlType(name="keypoint", about="poses of people", derivation=Derivation.SCRIPT, transfer1="keypoint"),
        ControlType(
            name="hdmap", about="lanes and traffic signs of a map", derivation=Derivation.NONE, transfer1="hdmap"
        ),
        ControlType(
            name="lidar", about="range measurements of a lidar", derivation=Derivation.NONE, transfer1="lidar"
        ),
        ControlType(
            name="upscale",
            about="the input itself, for a larger picture",
            derivation=Derivation.SCRIPT,
            transfer1="upscale",
        ),
        ControlType(name="wsm", about="a rendered world scenario map", derivation=Derivation.NONE, cosmos3="wsm"),
    )
}
"""All control types by name, in NVIDIA's order."""

TRANSFER_CONTROLS: tuple[ControlName, ...] = tuple(
    sorted(control.name for control in CONTROLS.values() if control.transfer25)
)
"""The controls of Transfer2.5 and of the in-process engine, sorted by name."""

PRESETS: Mapping[str, ControlName] = {
    preset: control.name
    for preset, control in sorted((control.preset, control) for control in CONTROLS.values() if control.preset)
}
"""The settings that hold a preset, each with its control."""

UPSCALE_WEIGHT = 0.5
"""Weight of the control "upscale" where a run gives none, as in NVIDIA's own spec of the upscaler."""

_PROMPT_WORDS = 128  # as in NVIDIA's scripts


def segmentation_prompt(prompt: str) -> str:
    """The things to segment for a seg control that names none: the first 128 words of the run's prompt."""
    return " ".join(prompt.split()[:_PROMPT_WORDS])
