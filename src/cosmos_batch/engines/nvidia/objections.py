"""NVIDIA's scripts of Transfer2.5 and Cosmos 3 as the planner sees them: what they hold fixed and cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS, Derivation
from cosmos_batch.engines.resolutions import (
    COSMOS3_SIZES,
    PATCH,
    TRANSFER25_SIZES,
    Buckets,
    Size,
    chunker,
    frames_of,
    nearest,
    parsed,
    place_of,
    size_named,
)
from cosmos_batch.errors import Problem
from cosmos_batch.formats.common import STOCK_NEGATIVE_PROMPT
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import DEFAULTS, Control, Run, Sampling

Objection = tuple[str, str, str, str]
"""Field, what was found there, what is wrong with it, what would do."""

_CHUNK = 93  # frames, of Transfer2.5 and of Cosmos 3
_VIDEO_NAMES = (".mp4", ".avi", ".mov", ".webm")
_WEIGHT_TOLERANCE = 1e-6


def _size(run: Run, facts: VideoInfo | None, sizes: Mapping[str, Buckets]) -> Size:
    """The size that a run asks for, whether the script has it or not. Raises PlanError for an unknown name."""
    wanted = run.sampling.resolution or "720"
    return parsed(wanted) or size_named(wanted, sizes, facts)


def _size_problem(
    run: Run, facts: VideoInfo | None, sizes: Mapping[str, Buckets], script: str
) -> Iterable[Objection]:
    """A size in pixels that is none of the script's, or not the one that it would choose for this input."""
    wanted = run.sampling.resolution
    size = parsed(wanted) if wanted else None
    if wanted is None or size is None:
        return
    place = place_of(size, sizes)
    if place is None:
        near = ", ".join(f"{w}x{h}" for w, h in dict.fromkeys(nearest(each, facts) for each in sizes.values()))
        yield "resolution", wanted, f"{script} has no such size", f"for this input, one of {near}"
    elif facts is not None and sizes is TRANSFER25_SIZES and nearest(sizes[place[0]], facts) != size:
        own = "{}x{}".format(*nearest(sizes[place[0]], facts))
        yield (
            "resolution",
            wanted,
            f"{script} chooses the aspect nearest to the input's",
            f"say {place[0]}, or {own}",
        )


def _sampling_problems(run: Run, script: str) -> Iterable[Objection]:
    sampling = run.sampling
    if sampling.sigma_max not in (None, DEFAULTS.sigma_max):
        yield "sigma_max", f"{sampling.sigma_max:g}", f"it has no effect in {script}", "leave it out"
    if sampling.guidance is not None and sampling.guidance > 7:
        yield "guidance", f"{sampling.guidance:g}", f"{script} takes 0 to 7", "lower it"


def _rate_problem(run: Run, rate: float | None, script: str) -> Iterable[Objection]:
    """A frame rate that is not the one at which the script writes."""
    fps = run.sampling.fps
    if rate is not None and fps not in (None, "input") and fps != rate:
        yield "fps", f"{fps:g}", f"{script} writes at the input's rate, here {rate:g}", "leave it out"


def _problems(found: Iterable[Objection]) -> tuple[Problem, ...]:
    return tuple(Problem("", None, *parts) for parts in found)


def _transfer25_shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = _size(run, facts, TRANSFER25_SIZES)
    return Shape(width, height, frames_of(run, facts, _CHUNK))


def _transfer25_output(run: Run, facts: VideoInfo | None) -> Shape:
    """The input's size, rounded down to even numbers: `keep_input_resolution` is true."""
    shape = _transfer25_shape(run, facts)
    return replace(shape, width=facts.width // 2 * 2, height=facts.height // 2 * 2) if facts else shape


def _latent_tokens(shape: Shape) -> int:
    """Of a chunk of 93 frames, which is 24 latent frames; shorter videos are padded to it."""
    return 24 * (shape.height // PATCH) * (shape.width // PATCH)


def _transfer25_objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    name = "Transfer2.5"
    found = [*_size_problem(run, facts, TRANSFER25_SIZES, name), *_sampling_problems(run, name)]
    found += _rate_problem(run, float(int(facts.fps)) if facts else None, name)
    sampling = run.sampling
    if run.video is None:
        found.append(("video", "", f"{name} needs an input video, also beside control videos", "give it"))
    if sampling.guidance is not None and sampling.guidance % 1:
        found.append(("guidance", f"{sampling.guidance:g}", f"{name} takes whole numbers", "round it"))
    if sampling.negative_prompt == "":
        found.append(("negative_prompt", "''", f"the guardrail of {name} blocks an empty one", "say something"))
    if facts is not None and facts.frames < 2:
        found.append(("video", f"{facts.frames} frame", f"{name} makes a picture of it, no video", "give a video"))
    for control in run.active:
        field = f"controls.{control.name}"
        if control.weight > 1:
            found.append((field, f"{control.weight:g}", f"{name} takes weights up to 1", "lower it"))
        if control.mask is not None and control.mask.endswith(".pt"):
            found.append((field, "mask", f"{name} takes masks as videos", "convert it"))
    return _problems(found)


TRANSFER25_SCRIPT = Traits(
    name="transfer25",
    controls=frozenset(TRANSFER_CONTROLS),
    launch_keys=("signature", "job_type"),
    batch_keys=(),
    steppable=False,
    shape=_transfer25_shape,
    tokens=_latent_tokens,
    chunks=chunker(_CHUNK, 1),
    defaults=Sampling(
        num_steps=35,
        guidance=3.0,
        seed=2025,
        fps="input",
        resolution="720",
        negative_prompt=STOCK_NEGATIVE_PROMPT,
    ),
    max_runs=1,
    shape_inputs=("weights", "sigma_max", "fps", "negative_prompt"),
    objections=_transfer25_objections,
    suffixes=frozenset(_VIDEO_NAMES),
    input_fps=lambda fps: float(int(fps)),
    output=_transfer25_output,
)
"""NVIDIA's `examples/inference.py`: one video after the other, all settings free but the control set. Samples of
different sets in one call make it load all four branches, and can take a control away without a word."""


def _cosmos3_shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = _size(run, facts, COSMOS3_SIZES)
    return Shape(width, height, frames_of(run, facts, _CHUNK))


def _cosmos3_objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    name, fps = "Cosmos 3", run.sampling.fps
    found = [*_size_problem(run, facts, COSMOS3_SIZES, name), *_sampling_problems(run, name)]
    if run.video is not None:
        found += _rate_problem(run, facts.fps if facts else None, name)
    elif isinstance(fps, float) and fps % 1:
        found.append(("fps", f"{fps:g}", f"{name} takes whole numbers where there is no input video", "round it"))
    total = sum(control.weight for control in run.active)
    if abs(total - 1) > _WEIGHT_TOLERANCE:
        means = ", ".join(f"{control.name} {control.weight / total:.4g}" for control in run.active)
        found.append(
            ("controls", f"weights {total:g} in sum", f"{name} divides them by their sum", f"write {means}")
        )
    for control in run.active:
        found += [(f"controls.{control.name}", *rest) for rest in _cosmos3_control(control)]
    return _problems(found)


def _cosmos3_control(control: Control) -> Iterable[tuple[str, str, str]]:
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
    shape=_cosmos3_shape,
    tokens=_latent_tokens,
    chunks=chunker(_CHUNK, 1),
    defaults=Sampling(num_steps=35, guidance=3.0, fps="input", resolution="720"),
    max_runs=1,
    shape_inputs=("weights", "sigma_max", "fps"),
    objections=_cosmos3_objections,
    suffixes=frozenset(_VIDEO_NAMES),
)
"""NVIDIA's `cosmos_framework.scripts.inference` on transfer samples: one after the other, nothing held fixed.
It has no branches: controls are tokens of their own beside the video's."""
