"""Traits of NVIDIA's Cosmos 3 script: what it holds fixed, and the settings that it does not support."""

from __future__ import annotations

from collections.abc import Iterable

from cosmos_batch.controls import CONTROLS, Derivation
from cosmos_batch.engines.nvidia.objections import (
    Objection,
    as_problems,
    rate_problems,
    requested_size,
    sampling_problems,
    size_problems,
)
from cosmos_batch.engines.resolutions import (
    COSMOS3_SIZES,
    chunk_length,
    chunker,
    frames_of,
    latent_tokens,
    nearest,
    parsed,
    place_of,
)
from cosmos_batch.errors import Problem
from cosmos_batch.formats.nvidia.cosmos3 import chunk_frames as default_chunk_frames
from cosmos_batch.planning.batch_keys import chunk_frames
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import Control, Run, Sampling

_WEIGHT_TOLERANCE = 1e-6
_OVERLAP = 1  # frames that two chunks share
_TEMPORAL = 4  # frames of a latent frame after the first


def _shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = requested_size(run, facts, COSMOS3_SIZES)
    return Shape(width, height, frames_of(run, facts, frames_per_chunk(run)))


def frames_per_chunk(run: Run) -> int:
    """Frames of a chunk, as they are asked of the script: the run's own, else those of its control set."""
    return chunk_frames(run) or default_chunk_frames(run.signature)


def _padded(run: Run, frames: int) -> int:
    """Frames of a chunk of a run of so many frames, as the script rounds them: 1, or a multiple of 4 and 1 more.

    After `generate_transfer_sample` in cosmos_framework/inference/transfer.py.
    """
    asked = chunk_length(frames, frames_per_chunk(run))
    return 1 + -(-(asked - 1) // _TEMPORAL) * _TEMPORAL


def _chunks(run: Run, frames: int) -> int:
    return chunker(_padded(run, frames), _OVERLAP)(run, frames)


def _tokens(run: Run, shape: Shape) -> int:
    return latent_tokens(_padded(run, shape.frames), shape, _TEMPORAL)


def _objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    name, fps = "Cosmos 3", run.sampling.fps
    found = [*size_problems(run, facts, COSMOS3_SIZES, name), *sampling_problems(run, name)]
    if run.video is not None:
        found += rate_problems(run, facts.fps if facts else None, name)
    else:
        found += [*_rate_without_input(fps, facts), *_shape_of_control(run, facts)]
    found += _short_chunks(run, facts)
    total = sum(control.weight for control in run.active)
    if abs(total - 1) > _WEIGHT_TOLERANCE:
        means = ", ".join(f"{control.name} {control.weight / total:.4g}" for control in run.active)
        found.append(
            ("controls", f"weights {total:g} in sum", f"{name} divides them by their sum", f"write {means}")
        )
    for control in run.active:
        found += [(f"controls.{control.name}", *rest) for rest in _control(control)]
    return as_problems(found)


def _short_chunks(run: Run, facts: VideoInfo | None) -> Iterable[Objection]:
    """Chunks that have no frame beside the one that they share."""
    frames = frames_of(run, facts, frames_per_chunk(run))
    if frames > 1 and _padded(run, frames) <= _OVERLAP:
        yield "chunk_frames", str(chunk_frames(run)), "two chunks of Cosmos 3 share a frame", "say 2 or more"


def _rate_without_input(fps: float | str | None, facts: VideoInfo | None) -> Iterable[Objection]:
    """A rate with a fraction, where there is no input video."""
    rate = fps if isinstance(fps, float) else facts.fps if facts else None
    if rate is not None and (rate % 1 or rate < 1):
        whole = max(1, round(rate))
        message = "Cosmos 3 takes whole numbers where there is no input video"
        yield "fps", f"{rate:g}", message, f"say {whole}"


def _shape_of_control(run: Run, facts: VideoInfo | None) -> Iterable[Objection]:
    """A size of another shape than the first control's, which Cosmos 3 takes where there is no input video."""
    wanted = run.sampling.resolution
    size = parsed(wanted) if wanted else None
    place = place_of(size, COSMOS3_SIZES) if size else None
    if wanted is None or place is None or facts is None:
        return
    own = nearest(COSMOS3_SIZES[place[0]], facts)
    if own != size:
        found = place_of(own, COSMOS3_SIZES)
        aspect = "{},{}".format(*found[1]) if found else ""
        message = (
            "without an input video Cosmos 3 takes the shape of the first control, "
            f"{facts.width}x{facts.height} here, whatever aspect_ratio says"
        )
        yield "resolution", wanted, message, "say {}x{}, or aspect_ratio {}".format(*own, aspect)


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
    tokens=_tokens,
    chunks=_chunks,
    defaults=Sampling(num_steps=35, guidance=3.0, fps="input", resolution="720"),
    max_runs=1,
    shape_inputs=("weights", "sigma_max", "fps", "chunk_frames"),
    objections=_objections,
    suffixes=frozenset({".mp4", ".png", ".jpg", ".jpeg"}),  # of an input; controls might have others
    crops=True,
)
"""NVIDIA's `cosmos_framework.scripts.inference` on transfer samples: one after the other, nothing held fixed.
It has no branches: controls are tokens beside the video's."""
