"""Traits of NVIDIA's Transfer2.5 script: what it holds fixed, and the settings that it does not support."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.nvidia.objections import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    Objection,
    as_problems,
    rate_problems,
    requested_size,
    sampling_problems,
    size_problems,
)
from cosmos_batch.engines.resolutions import (
    TRANSFER25_SIZES,
    chunker,
    frames_of,
    kept_size,
    latent_tokens,
    nearest,
    parsed,
    place_of,
)
from cosmos_batch.errors import Problem
from cosmos_batch.formats.common import STOCK_NEGATIVE_PROMPT
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import Run, Sampling

CHUNK_FRAMES = 93
"""Frames of a chunk."""
_MASK_SUFFIXES = (".mp4", ".npz")  # of guided generation


def _shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = requested_size(run, facts, TRANSFER25_SIZES)
    return Shape(width, height, frames_of(run, facts, CHUNK_FRAMES))


def _output(run: Run, facts: VideoInfo | None) -> Shape:
    shape = _shape(run, facts)
    if facts is None or not run.sampling.keep_input_resolution:
        return shape
    return Shape(*kept_size(facts), shape.frames)


def _objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    name = "Transfer2.5"
    found = [*size_problems(run, facts, TRANSFER25_SIZES, name), *_aspect_problems(run, facts)]
    found += sampling_problems(run, name)
    if frames_of(run, facts, CHUNK_FRAMES) > 1:
        found += rate_problems(run, float(int(facts.fps)) if facts else None, name)
    sampling = run.sampling
    if run.video is None:
        found.append(("video", "", f"{name} needs an input video, also beside control videos", "give it"))
    if sampling.guidance is not None and sampling.guidance % 1:
        found.append(("guidance", f"{sampling.guidance:g}", f"{name} takes whole numbers", "round it"))
    if sampling.negative_prompt == "":
        found.append(("negative_prompt", "''", f"the guardrail of {name} blocks an empty one", "say something"))
    guided = run.guided_mask
    if guided is not None and not guided.endswith(_MASK_SUFFIXES):
        message = f"{name} takes masks as {' and '.join(_MASK_SUFFIXES)} files"
        found.append(("guided_generation_mask", PurePath(guided).suffix, message, "convert the mask"))
    for control in run.active:
        field = f"controls.{control.name}"
        if control.weight > 1:
            found.append((field, f"{control.weight:g}", f"{name} takes weights up to 1", "lower it"))
        if control.mask is not None and control.mask.endswith(".pt"):
            found.append((field, "mask", f"{name} takes masks as videos", "convert it"))
    return as_problems(found)


def _aspect_problems(run: Run, facts: VideoInfo | None) -> Iterable[Objection]:
    """A size of the script other than the one that it chooses for this input."""
    wanted = run.sampling.resolution
    size = parsed(wanted) if wanted else None
    place = place_of(size, TRANSFER25_SIZES) if size else None
    if wanted is None or place is None or facts is None:
        return
    own = nearest(TRANSFER25_SIZES[place[0]], facts)
    if own != size:
        message = "Transfer2.5 chooses the aspect nearest to the input's"
        yield "resolution", wanted, message, "say {}, or {}x{}".format(place[0], *own)


TRANSFER25_SCRIPT = Traits(
    name="transfer25",
    controls=frozenset(TRANSFER_CONTROLS),
    launch_keys=("signature", "job_type"),
    batch_keys=(),
    steppable=False,
    shape=_shape,
    tokens=lambda _, shape: latent_tokens(CHUNK_FRAMES, shape),
    chunks=chunker(CHUNK_FRAMES, 1),
    free_overlap=True,
    guided_generation=True,
    defaults=Sampling(
        num_steps=35,
        guidance=3.0,
        seed=2025,
        fps="input",
        resolution="720",
        negative_prompt=STOCK_NEGATIVE_PROMPT,
        keep_input_resolution=True,
    ),
    max_runs=1,
    shape_inputs=("weights", "sigma_max", "fps", "negative_prompt"),
    objections=_objections,
    suffixes=VIDEO_SUFFIXES | PICTURE_SUFFIXES,
    input_fps=lambda fps: float(int(fps)),
    output=_output,
    may_keep_size=True,
)
"""NVIDIA's `examples/inference.py`: one video after the other, every setting free but the control set. Samples of
different sets in one call make it load all four branches, and can silently drop a control."""
