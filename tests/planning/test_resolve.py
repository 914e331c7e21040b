from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from pydantic import TypeAdapter, ValidationError

from cosmos_batch.engines.registry import traits_of
from cosmos_batch.errors import MediaError
from cosmos_batch.planning.resolve import UNKNOWN_FPS, Resolver, leading_facts, resolve, with_sampling
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Control, ResolvedRun, ResolvedSampling, Run, Sampling, as_dict
from tests.support.runs import resolved

ENGINE = traits_of("transfer")
INPUT = VideoInfo(width=320, height=192, frames=30, fps=12.5)
EDGE = VideoInfo(width=320, height=192, frames=20, fps=25.0)
FACTS = {"/in.mp4": INPUT, "/edge.mp4": EDGE}
CONTROLS = (Control(name="edge", weight=0.5, video="/edge.mp4"), Control(name="vis", weight=0))
RUN = Run(id="a", prompt="p", controls=CONTROLS, video="/in.mp4", priority=3, sampling=Sampling(seed=7))


def test_every_setting_is_filled_in() -> None:
    run = resolve(RUN, ENGINE, FACTS)

    assert isinstance(run, ResolvedRun)
    assert isinstance(run.sampling, ResolvedSampling)
    assert all(getattr(run.sampling, setting.name) is not None for setting in fields(Sampling))
    assert run.sampling.seed == 7
    assert run.sampling.num_frames == EDGE.frames  # the shortest video
    assert run.sampling.resolution.count("x") == 1


def test_all_but_the_settings_stays_as_it_is() -> None:
    run = resolve(RUN, ENGINE, FACTS)

    for field in fields(Run):
        if field.name != "sampling":
            assert getattr(run, field.name) == getattr(RUN, field.name), field.name


def test_resolving_twice_changes_nothing() -> None:
    once = resolve(RUN, ENGINE, FACTS)

    assert resolve(once, ENGINE, FACTS) == once


def test_runs_that_are_resolved_together_are_as_each_alone() -> None:
    alike = replace(RUN, id="b", prompt="q", priority=0)
    others = [
        replace(RUN, sampling=Sampling(seed=8)),
        replace(RUN, sampling=Sampling(seed=7, num_frames=5)),
        replace(RUN, sampling=Sampling(seed=7, fps="input", num_conditional_frames=2)),
        replace(RUN, video="/edge.mp4"),
        replace(RUN, controls=(Control(name="edge", weight=0.5),)),
        replace(RUN, controls=(Control(name="vis", weight=0.5, mask="/mask.mp4"),)),
    ]
    facts = FACTS | {"/mask.mp4": replace(EDGE, frames=7)}
    together = Resolver(ENGINE, facts)

    for run in (RUN, alike, *others, RUN):
        assert together.resolve(run) == resolve(run, ENGINE, facts)


@pytest.mark.parametrize("rate", [1e-5, 1e6])
def test_rate_of_the_input_that_no_output_can_have_is_an_error(rate: float) -> None:
    facts = FACTS | {"/in.mp4": replace(INPUT, fps=rate)}
    with pytest.raises(
        MediaError, match=r"run a: its input has .* frames per second.*; set fps, from 0.001 to 1000"
    ):
        resolve(replace(RUN, sampling=Sampling(fps="input")), ENGINE, facts)


@pytest.mark.parametrize("rate", [0.5, 480.0])
def test_unusual_rate_of_the_input_is_kept(rate: float) -> None:
    facts = FACTS | {"/in.mp4": replace(INPUT, fps=rate)}
    assert resolve(replace(RUN, sampling=Sampling(fps="input")), ENGINE, facts).sampling.fps == rate


def test_rate_that_a_script_rounds_to_nothing_is_an_error() -> None:
    facts = FACTS | {"/in.mp4": replace(INPUT, fps=0.5)}
    with pytest.raises(MediaError, match="the output would have 0; set fps"):
        resolve(RUN, traits_of("transfer25"), facts)


def test_json_and_fingerprint_are_those_of_a_run_of_the_same_values() -> None:
    run = resolve(RUN, ENGINE, FACTS)
    plain = TypeAdapter(Run).validate_python(as_dict(run))

    assert type(plain) is Run
    assert json.dumps(as_dict(run)) == json.dumps(as_dict(plain))
    assert run.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("facts", "fps"),
    [
        (FACTS, 12.5),  # the input's
        ({"/edge.mp4": EDGE}, 25.0),  # no input video: that of the first control video
    ],
)
def test_rate_of_the_input_becomes_a_number(facts: dict[str, VideoInfo], fps: float) -> None:
    video = "/in.mp4" if "/in.mp4" in facts else None
    asking = replace(RUN, video=video, sampling=Sampling(fps="input"))

    assert resolve(asking, ENGINE, facts).sampling.fps == fps


def test_unknown_rate_of_the_input_has_a_default() -> None:
    masked = replace(RUN, controls=(Control(name="edge", weight=1.0),), sampling=Sampling(fps="input"))

    assert leading_facts(masked, {}) is None
    with pytest.raises(KeyError):  # `facts` must hold every video of the run
        resolve(masked, ENGINE, {})
    assert UNKNOWN_FPS == 24.0


def test_script_without_fractional_rates_rounds_the_input_down() -> None:
    asking = replace(RUN, sampling=Sampling(fps="input"))

    assert resolve(asking, traits_of("transfer25"), FACTS).sampling.fps == 12.0


def test_video_shorter_than_asked_for_is_refused() -> None:
    with pytest.raises(MediaError, match="asks for 21 frames and this video has 20"):
        resolve(replace(RUN, sampling=Sampling(num_frames=21)), ENGINE, FACTS)


def test_conditional_frames_are_those_of_the_model_or_the_run() -> None:
    five = replace(ENGINE, overlap=5)
    assert resolve(RUN, five, FACTS).sampling.num_conditional_frames == 5
    asking = replace(RUN, sampling=Sampling(num_conditional_frames=0))
    assert resolve(asking, five, FACTS).sampling.num_conditional_frames == 0


def test_what_earlier_versions_lack_is_absent_from_the_json_where_it_has_no_effect() -> None:
    plain = as_dict(resolve(RUN, ENGINE, FACTS))
    asking = replace(RUN, sampling=Sampling(num_conditional_frames=2))
    assert "num_conditional_frames" not in plain["sampling"]
    assert not {"cosmos3", "guided_generation"} & plain.keys()
    assert as_dict(resolve(asking, ENGINE, FACTS))["sampling"]["num_conditional_frames"] == 2


@pytest.mark.parametrize("overlap", [None, 0, 1, 2])
def test_json_of_a_resolved_run_gives_the_same_run(overlap: int | None) -> None:
    run = resolve(replace(RUN, sampling=Sampling(num_conditional_frames=overlap)), ENGINE, FACTS)
    again = TypeAdapter(ResolvedRun).validate_python(as_dict(run))
    assert again == run
    assert TypeAdapter(Run).validate_python(as_dict(run)).fingerprint == run.fingerprint


@pytest.mark.parametrize("setting", [field.name for field in fields(ResolvedSampling)])
def test_setting_left_open_is_refused(setting: str) -> None:
    settings = {field.name: getattr(resolved(RUN).sampling, field.name) for field in fields(Sampling)}

    with pytest.raises(ValidationError, match=setting):
        ResolvedSampling(**settings | {setting: None})


def test_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="fps"):
        replace(resolved(RUN).sampling, fps="input")


def test_run_does_not_take_settings_that_may_be_open() -> None:
    with pytest.raises(ValidationError, match="sampling"):
        replace(resolved(RUN), sampling=Sampling())
    assert with_sampling(RUN, resolved(RUN).sampling) == resolved(RUN)


KEEPING = replace(RUN, sampling=Sampling(keep_input_resolution=True))


@pytest.mark.parametrize(
    ("engine", "wanted", "kept"),
    [
        ("transfer", None, False),
        ("transfer", True, True),
        ("transfer", False, False),
        ("transfer25", None, True),  # as its script does by itself
        ("transfer25", False, False),
        ("transfer1", True, False),  # it has no such choice
        ("cosmos3", True, False),
    ],
)
def test_size_of_the_input_is_kept_where_the_engine_may(engine: str, wanted: bool | None, kept: bool) -> None:
    run = replace(RUN, sampling=Sampling(keep_input_resolution=wanted))
    traits = traits_of(engine)

    found = resolve(run, traits, FACTS)

    assert found.sampling.keep_input_resolution is kept
    finished, network = traits.finished(found, INPUT), traits.shape(found, INPUT)
    assert ((finished.width, finished.height) == (INPUT.width, INPUT.height)) is kept
    assert finished.frames == network.frames


def test_size_that_is_the_network_s_is_not_kept_apart() -> None:
    """So a run has one key, whichever way it asks for that size."""
    run = replace(KEEPING, sampling=Sampling(keep_input_resolution=True, resolution="320x192"))
    assert resolve(run, ENGINE, FACTS).sampling.keep_input_resolution is False


def test_key_of_a_run_that_keeps_no_size_is_as_before() -> None:
    assert "keep_input_resolution" not in as_dict(resolve(RUN, ENGINE, FACTS))["sampling"]
    kept = resolve(KEEPING, ENGINE, FACTS)
    assert as_dict(kept)["sampling"]["keep_input_resolution"] is True
    assert kept.fingerprint != resolve(RUN, ENGINE, FACTS).fingerprint
    assert TypeAdapter(ResolvedRun).validate_python(as_dict(kept)) == kept
