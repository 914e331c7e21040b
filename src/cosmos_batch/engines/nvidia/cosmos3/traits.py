"""Traits of NVIDIA's Cosmos 3 script: what it holds fixed, and the settings that it does not support."""

from __future__ import annotations

from collections.abc import Iterable

from cosmos_batch.controls import CONTROLS, Derivation
from cosmos_batch.engines.nvidia.objections import (
    CHUNK_FRAMES,
    VIDEO_SUFFIXES,
    as_problems,
    latent_tokens,
    rate_problems,
    requested_size,
    sampling_problems,
    size_problems,
)
from cosmos_batch.engines.resolutions import COSMOS3_SIZES, chunker, frames_of
from cosmos_batch.errors import Problem
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import Control, Run, Sampling

_WEIGHT_TOLERANCE = 1e-6


def _shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = requested_size(run, facts, COSMOS3_SIZES)
    return Shape(width, height, frames_of(run, facts, CHUNK_FRAMES))


def _objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    name, fps = "Cosmos 3", run.sampling.fps
    found = [*size_problems(run, facts, COSMOS3_SIZES, name), *sampling_problems(run, name)]
    if run.video is not None:
        found += rate_problems(run, facts.fps if facts else None, name)
    elif isinstance(fps, float) and fps % 1:
        found.append(("fps", f"{fps:g}", f"{name} takes whole numbers where there is no input video", "round it"))
    total = sum(control.weight for control in run.active)
    if abs(total - 1) > _WEIGHT_TOLERANCE:
        means = ", ".join(f"{control.name} {control.weight / total:.4g}" for control in run.active)
        found.append(
            ("controls", f"weights {total:g} in sum", f"{name} divides them by their sum", f"write {means}")
        )
    for control in run.active:
        found += [(f"controls.{control.name}", *rest) for rest in _control(control)]
    return as_problems(found)


def _control(control: Control) -> Iterable[tuple[str, str, str]]:
    if CONTROLS[control.name].derivation is not Derivation.PIXELS and control.video is None:
        yield "no video", "Cosmos 3 cannot make this control video", "give it"
    if control.mask is not None or control.mask_prompt is not None:
        yield "mask", "Cosmos 3 has no masks", "leave it out"


COSMOS3 = Traits(
    name="cosmos3",
    controls=frozenset(control.name for control in CONTROLS.values() if control.cosmos3),
    launch_keys=("job_type",),
    batch_keys=(),
    steppable=False,
    shape=_shape,
    tokens=latent_tokens,
    chunks=chunker(CHUNK_FRAMES, 1),
    defaults=Sampling(num_steps=35, guidance=3.0, fps="input", resolution="720"),
    max_runs=1,
    shape_inputs=("weights", "sigma_max", "fps"),
    objections=_objections,
    suffixes=VIDEO_SUFFIXES,
    crops=True,
)
"""NVIDIA's `cosmos_framework.scripts.inference` on transfer samples: one after the other, nothing held fixed.
It has no branches: controls are tokens beside the video's."""
