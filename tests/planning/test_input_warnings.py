"""Warnings about videos that do not fit together, and about weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.controls import ControlName
from cosmos_batch.formats.native import NAMES
from cosmos_batch.formats.nvidia import cosmos3, transfer1, transfer25
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import FieldNames
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.input_warnings import input_warnings
from cosmos_batch.run import Control, GuidedGeneration, Run, Sampling

INPUT = VideoInfo(320, 192, 12, 24.0)
STILL = replace(INPUT, frames=1, fps=25.0)
UNEVEN = replace(INPUT, fps=14.86, shortest_interval=0.04, usual_interval=0.06, longest_interval=0.1)
GAP = replace(INPUT, fps=2.01, shortest_interval=0.042, usual_interval=0.042, longest_interval=5.042)
RUN = Run(id="r", prompt="snow", video="in.mp4", controls=(Control(name="depth", weight=1, video="/d/depth.mp4"),))
MASKED = replace(RUN, controls=(Control(name="edge", weight=1, mask="mask.mp4"),))


def warned(
    run: Run,
    sampling: Sampling | None = None,
    names: FieldNames = NAMES,
    *,
    crops: bool = False,
    **infos: VideoInfo,
) -> list[tuple[str, str]]:
    """Field and message of every warning; the videos by the stems of their files, "in_" is the input."""
    paths = {"in_": "in.mp4", "depth": "/d/depth.mp4", "mask": "mask.mp4", "seg": "seg.mp4"}
    known = {paths[name]: info for name, info in infos.items()}
    found = input_warnings(run, known, names=names, location=Location("r.json"), sampling=sampling, crops=crops)
    assert {warning.level for warning in found} <= {"warning"}
    assert all(warning.remedy and warning.file == "r.json" for warning in found)
    return [(warning.field, warning.message) for warning in found]


def weighted(weight: float, *names: ControlName) -> Run:
    return replace(RUN, controls=tuple(Control(name=name, weight=weight) for name in names))


def test_videos_that_fit_together_give_no_warning() -> None:
    assert warned(RUN, in_=INPUT, depth=INPUT) == []
    assert warned(RUN, in_=INPUT, depth=replace(INPUT, fps=23.976)) == []
    assert warned(RUN, Sampling(fps=24.0, resolution="320x192"), in_=INPUT, depth=INPUT) == []
    assert warned(RUN, in_=STILL, depth=STILL) == []
    assert warned(MASKED, in_=INPUT, mask=replace(STILL, fps=25.0)) == []
    assert warned(RUN) == []  # videos that were not probed


@pytest.mark.parametrize(
    ("infos", "field", "parts"),
    [
        ({"in_": INPUT, "depth": replace(INPUT, frames=5)}, "inputs.depth", ["7 of 12 frames of the input video"]),
        (
            {"in_": replace(INPUT, frames=11), "depth": INPUT},
            "inputs.video",
            ["1 of 12 frames of the depth video"],
        ),
        (
            {"in_": INPUT, "depth": replace(INPUT, fps=5.0)},
            "inputs.depth",
            ["5 frames per second", "24", "2.4 s of it go with 0.5 s"],
        ),
        ({"in_": STILL, "depth": INPUT}, "inputs.video", ["still picture", "11 of 12 frames of the depth video"]),
        ({"in_": INPUT, "depth": STILL}, "inputs.depth", ["still picture", "11 of 12 frames of the input video"]),
        (
            {"in_": INPUT, "depth": replace(INPUT, width=192, height=320)},
            "inputs.depth",
            ["192x320", "320x192", "stretched onto each other"],
        ),
        (
            {"in_": UNEVEN, "depth": INPUT},
            "inputs.video",
            ["variable frame rate, 40 to 100 ms", "constant 14.86 per second"],
        ),
        ({"in_": GAP, "depth": INPUT}, "inputs.video", ["gap of 5.04 s", "2.01 per second"]),
        ({"in_": INPUT, "depth": replace(UNEVEN, fps=24.0)}, "inputs.depth", ["variable frame rate"]),
    ],
)
def test_misfit_is_one_warning_with_its_figures(infos: dict[str, VideoInfo], field: str, parts: list[str]) -> None:
    ((found, message),) = warned(RUN, **infos)
    assert found == field
    assert all(part in message for part in parts), message


def test_masks_are_judged_as_control_videos_are() -> None:
    mask = replace(INPUT, frames=9, fps=12.0, width=192, height=320)
    found = warned(MASKED, names=transfer25.NAMES, in_=INPUT, mask=mask)
    assert [field for field, _ in found] == ["edge.mask_path"] * 3
    assert "3 of 12 frames of the input video" in found[0][1]


def test_mask_of_guided_generation_is_judged_too_and_labels_have_no_rate() -> None:
    guided = replace(RUN, guided_generation=GuidedGeneration(mask="mask.mp4"))
    mask = replace(INPUT, frames=9, fps=12.0, width=192, height=320)
    found = warned(guided, in_=INPUT, depth=INPUT, mask=mask)
    assert [field for field, _ in found] == ["inputs.guided_generation_mask"] * 3
    assert "the depth video" in found[0][1]
    assert warned(guided, in_=INPUT, depth=INPUT, mask=replace(INPUT, fps=0.0)) == []


def test_frames_that_the_run_does_not_ask_for_may_be_unused() -> None:
    run = replace(RUN, sampling=Sampling(num_frames=5))
    assert warned(run, in_=INPUT, depth=replace(INPUT, frames=5)) == []
    assert warned(replace(RUN, sampling=Sampling(num_frames=1)), in_=STILL, depth=INPUT) == []


def test_every_misfit_of_a_run_is_a_warning() -> None:
    seg = Control(name="seg", weight=0.5, video="seg.mp4")
    run = replace(RUN, controls=(*RUN.controls, seg))
    found = warned(run, in_=INPUT, depth=replace(INPUT, frames=5), seg=replace(INPUT, frames=9, fps=12.0))
    assert [field for field, _ in found] == ["inputs.depth", "inputs.seg"]
    assert "7 of 12 frames of the input video and 4 of 9 frames of the seg video are not used" in found[0][1]


def test_controls_without_an_input_are_compared_with_the_first() -> None:
    seg = Control(name="seg", weight=0.5, video="seg.mp4")
    run = replace(RUN, video=None, controls=(*RUN.controls, seg))
    found = warned(run, depth=INPUT, seg=replace(INPUT, fps=12.0))
    assert [field for field, _ in found] == ["inputs.seg"]
    assert "the depth video 24" in found[0][1]


def test_control_outside_the_rates_of_an_uneven_input_is_a_warning_too() -> None:
    found = warned(RUN, in_=UNEVEN, depth=replace(INPUT, fps=5.0))
    assert [field for field, _ in found] == ["inputs.depth", "inputs.video"]


def test_unused_control_is_not_judged() -> None:
    run = replace(
        RUN, controls=(Control(name="edge", weight=1), Control(name="depth", weight=0, video="/d/depth.mp4"))
    )
    assert warned(run, in_=INPUT, depth=replace(INPUT, frames=5)) == []


@pytest.mark.parametrize(
    ("resolution", "crops", "what"),
    [
        ("160x96", False, None),
        ("320x180", False, None),
        ("256x192", False, "stretched"),
        ("192x320", True, "cropped"),
        ("720p", False, None),  # no engine is chosen, so its size is not known
        (None, False, None),
    ],
)
def test_shape_of_the_network_is_compared_with_the_input(
    resolution: str | None, crops: bool, what: str | None
) -> None:
    found = warned(RUN, Sampling(resolution=resolution), crops=crops, in_=INPUT, depth=INPUT)
    if what is None:
        assert found == []
    else:
        ((field, message),) = found
        assert field == "inputs.video"
        assert f"320x192 pixels and goes through the network at {resolution}: the picture is {what}" in message


@pytest.mark.parametrize(("fps", "speed"), [(8.0, "3 times as slowly"), (48.0, "2 times as fast"), (24.5, None)])
def test_other_speed_of_the_output_is_a_warning(fps: float, speed: str | None) -> None:
    found = warned(RUN, Sampling(fps=fps), in_=INPUT, depth=INPUT)
    assert [(field, speed is not None and speed in message) for field, message in found] == (
        [("inputs.video", True)] if speed else []
    )
    assert warned(RUN, Sampling(fps=fps), in_=STILL, depth=STILL) == []
    assert warned(RUN, Sampling(fps="input"), in_=INPUT, depth=INPUT) == []


def test_constant_rate_of_an_uneven_video_is_that_of_the_output() -> None:
    _, (_, message) = warned(RUN, Sampling(fps=24.0), in_=UNEVEN, depth=INPUT)
    assert "constant 24 per second" in message


@pytest.mark.parametrize(
    ("run", "warns"),
    [
        (weighted(1, "edge", "vis", "depth", "seg"), True),
        (weighted(1.5, "edge", "vis", "depth", "seg", "keypoint"), True),
        (weighted(0.9, "edge", "vis", "depth", "seg"), False),
        (weighted(1, "edge", "vis", "depth"), False),
        (weighted(1, "edge", "keypoint", "depth", "seg"), False),
    ],
)
def test_four_controls_at_full_weight_with_vis(run: Run, warns: bool) -> None:
    found = warned(run)
    assert [field for field, _ in found] == ["execution_config.weights"] * warns
    assert all("controls at full weight with vis among them" in message for _, message in found)


@pytest.mark.parametrize(
    ("names", "weights", "video", "depth"),
    [
        (NAMES, "execution_config.weights", "inputs.video", "inputs.depth"),
        (transfer25.NAMES, "vis", "video_path", "depth.control_path"),
        (transfer1.SPEC_NAMES, "vis", "input_video_path", "depth.input_control"),
        (transfer1.SAMPLE_NAMES, "control_overrides", "visual_input", "control_overrides.depth.input_control"),
        (cosmos3.NAMES, "blur", "vision_path", "depth.control_path"),
    ],
)
def test_fields_are_those_of_the_format(names: FieldNames, weights: str, video: str, depth: str) -> None:
    others = weighted(1, "edge", "vis", "seg").controls
    run = replace(RUN, controls=(*RUN.controls, *others))
    found = warned(run, names=names, in_=UNEVEN, depth=replace(UNEVEN, frames=5))
    assert [field for field, _ in found] == [depth, video, depth, weights]


_SIDE = st.integers(1, 8192)
_RATE = st.floats(1e-6, 1e6)


@st.composite
def any_info(draw: st.DrawFn) -> VideoInfo:
    """A video of any size, length and rate, even or not."""
    even = VideoInfo(draw(_SIDE), draw(_SIDE), draw(st.integers(1, 5000)), draw(_RATE))
    if even.frames == 1 or draw(st.booleans()):
        return even
    shortest, usual, longest = sorted(draw(st.tuples(*[st.floats(0, 1e6)] * 3)))
    return replace(even, shortest_interval=shortest, usual_interval=usual, longest_interval=longest)


@given(any_info(), any_info(), st.one_of(st.none(), st.floats(1e-3, 240)), st.integers(1, 9999))
def test_any_videos_give_short_warnings_and_each_alone_fits_itself(
    one: VideoInfo, other: VideoInfo, fps: float | None, side: int
) -> None:
    found = warned(RUN, Sampling(fps=fps, resolution=f"{side + 9}x16"), in_=one, depth=other)
    assert all(len(message) < 250 for _, message in found)
    assert len(set(found)) == len(found)
    alike = warned(RUN, in_=one, depth=one)
    assert all("variable" in message or "gap" in message for _, message in alike)


def test_size_that_the_engine_cannot_keep_is_a_warning() -> None:
    run = replace(RUN, sampling=Sampling(keep_input_resolution=True))

    def found(keeps_size: bool, names: FieldNames = NAMES) -> list[str]:
        said = input_warnings(run, {}, names=names, location=Location("r.json"), keeps_size=keeps_size)
        return [warning.field for warning in said]

    assert found(True) == []
    assert found(False) == ["execution_config.keep_input_resolution"]
    assert found(False, transfer25.NAMES) == ["keep_input_resolution"]


def test_picture_of_a_video_has_no_speed() -> None:
    assert warned(MASKED, Sampling(fps=8.0, num_frames=1), in_=INPUT) == []
