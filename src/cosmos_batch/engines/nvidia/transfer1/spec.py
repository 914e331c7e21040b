"""Contents of the two files of Transfer1's batch mode: a base spec, and a line of overrides per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from cosmos_batch.controls import PRESETS, UPSCALE_WEIGHT
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.run_like import RunLike, as_run, as_runs
from cosmos_batch.planning.batch_keys import preset, resolved_defaults, setting
from cosmos_batch.planning.resolve import UNKNOWN_FPS, leading_facts
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Control, Run

PROCESS_SETTINGS = ("negative_prompt", "num_steps", "guidance", "sigma_max", "seed", "fps")
"""The sampling settings that hold for a whole Transfer1 process."""

_NO_FACTS: Mapping[str, VideoInfo] = {}


def create_minimal_base_spec(runs: Sequence[RunLike]) -> dict[str, Any]:
    """The base spec of a Transfer1 launch: every setting that holds for the process, and only controls in use.

    Controls have weight 0, since every line of the batch file overrides them. `input_video_path` is the first
    run's: Transfer1 requires one and does not open it in batch mode. A run that names no frame rate gets 24, the
    script's own default, since nothing is known of its input here. Raises PlanError if there are no runs, for a
    frame rate that is no number, or if runs differ in a setting of the process, naming it and both values.
    """
    checked = [with_rate(run, TRANSFER1) for run in as_runs(runs)]
    if not checked:
        raise PlanError("a base spec needs at least one run")
    each = [process_settings(run, TRANSFER1) for run in checked]
    for settings, run in zip(each, checked, strict=True):
        for name, value in settings.items():
            if value != each[0][name]:
                raise PlanError(
                    f"{name} must be equal in a Transfer1 launch: "
                    f"{each[0][name]!r} in run {checked[0].id}, {value!r} in run {run.id}"
                )
    if len({run.job_type == "distilled" for run in checked}) > 1:
        raise PlanError("use_distilled must be equal in a Transfer1 launch")
    if each[0]["fps"] == "input":
        raise PlanError("fps = 'input': a base spec needs a number")
    return base_spec(checked, each[0])


def with_rate(run: Run, traits: Traits, facts: Mapping[str, VideoInfo] = _NO_FACTS) -> Run:
    """The run with the frame rate of its input as a number, where it asks for that or leaves the rate open.

    Only for an engine that needs one rate in a launch; of an unknown input an open rate becomes `UNKNOWN_FPS`.
    """
    asked = run.sampling.fps
    if "fps" not in traits.launch_keys or traits.defaults.fps != "input" or asked not in (None, "input"):
        return run
    lead = leading_facts(run, facts)
    if lead is None and asked == "input":
        return run
    with suppress(ValidationError):  # a rate that no run may have; planning says so
        return replace(run, sampling=replace(run.sampling, fps=lead.fps if lead else UNKNOWN_FPS))
    return run


def base_spec(runs: Sequence[Run], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A base spec with these settings and the controls that some run uses."""
    names = sorted({control.name for run in runs for control in _active(run)})
    videos = [path for run in runs for path in (run.video, *(c.video for c in run.active)) if path is not None]
    spec: dict[str, Any] = {**settings, "input_video_path": videos[0] if videos else ""}
    if all(run.job_type == "distilled" for run in runs):
        spec["use_distilled"] = True
    return spec | {name: {"control_weight": 0} for name in names}


def process_settings(run: Run, traits: Traits) -> dict[str, Any]:
    """The settings of a base spec for a run, without its controls."""
    defaults = resolved_defaults(traits)
    settings = {name: setting(run, name, defaults) for name in PROCESS_SETTINGS}
    return settings | {name: preset(run, control) for name, control in PRESETS.items()}


def shared_settings(runs: Sequence[Run], traits: Traits) -> dict[str, Any]:
    """The settings of a base spec that are equal for all runs, and that mean the same for every input."""
    each = [process_settings(run, traits) for run in runs]
    each = [{name: value for name, value in one.items() if value != "input"} for one in each]
    return {name: value for name, value in each[0].items() if all(other.get(name) == value for other in each)}


def to_cosmos_batch_inference_jsonl(runs: Sequence[RunLike]) -> list[dict[str, Any]]:
    """The lines of a Transfer1 batch file, one dict per run.

    Every active control is overridden with the run's own weight and video, so that nothing is inherited from the
    base spec; for a video of null Transfer1 makes it from the run's input. upscale takes the input itself, and
    fails on a null.
    """
    return [_line(as_run(run)) for run in runs]


def _line(run: Run) -> dict[str, Any]:
    overrides = {control.name: _override(control) for control in _active(run)}
    return {"visual_input": run.video, "prompt": run.prompt, "control_overrides": overrides}


def _override(control: Control) -> dict[str, Any]:
    """The overrides of a control; a weight map (a .pt file) is given in place of the weight."""
    weight = control.weight if control.mask is None else control.mask
    override: dict[str, Any] = {"control_weight": weight}
    if control.name != "upscale":
        override["input_control"] = control.video
    if control.prompt is not None and control.video is None:
        override["input_control_prompt"] = control.prompt
    if control.mask_prompt is not None:
        override["control_weight_prompt"] = control.mask_prompt
    return override


def _active(run: Run) -> tuple[Control, ...]:
    """The active controls; those of an upscaling job include "upscale" even where the run does not name it."""
    active = run.active
    if run.job_type == "upscale" and all(control.name != "upscale" for control in active):
        active += (Control(name="upscale", weight=UPSCALE_WEIGHT),)
    return active
