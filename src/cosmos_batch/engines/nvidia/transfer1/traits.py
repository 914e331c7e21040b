"""Traits of NVIDIA's Transfer1 script: alone, and as cosmos-batch drives it."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.controls import CONTROLS, PRESETS, Derivation
from cosmos_batch.engines.resolutions import PATCH, TRANSFER1_BUCKETS, Size, chunker, frames_of, nearest
from cosmos_batch.errors import Problem
from cosmos_batch.planning.traits import PURE_NOISE, Shape, Traits, VideoInfo
from cosmos_batch.run import Control, Run, Sampling

_CHUNK_FRAMES = 121
_SEEDS = 2**32  # numpy's seeds are below this; chunk k is seeded with seed + k
_UPSCALE_OVERLAP = 256  # pixels that the upscaler's three tiles of a side share, along the longer side
_ASPECTS = {bucket: (max(aspect), min(aspect)) for aspect, bucket in TRANSFER1_BUCKETS.items()}


def _shape(run: Run, facts: VideoInfo | None) -> Shape:
    width, height = nearest(TRANSFER1_BUCKETS, facts)
    return Shape(width, height, frames_of(run, facts, _CHUNK_FRAMES))


def _output(run: Run, facts: VideoInfo | None) -> Shape:
    shape = _shape(run, facts)
    size = (shape.width, shape.height)
    return Shape(*(upscaled(size) if run.job_type == "upscale" else size), shape.frames)


def _tokens(_: Run, shape: Shape) -> int:
    """Tokens of a chunk: it is padded to 121 frames, which an autoencoder of 8 x 8 x 8 makes 16 latent frames."""
    return 16 * (shape.height // PATCH) * (shape.width // PATCH)


def _size(facts: VideoInfo | None) -> str:
    width, height = nearest(TRANSFER1_BUCKETS, facts)
    return f"{width}x{height}"


def _objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    sampling, found = run.sampling, []
    if sampling.resolution not in (None, "720") and sampling.resolution != _size(facts):
        found.append(
            ("resolution", sampling.resolution, "Transfer1 chooses the size itself", "leave it out, or say 720")
        )
    if sampling.fps == "input" and facts is None:
        found.append(("fps", "'input'", "nothing is known of this run's input", "give a number"))
    if sampling.num_frames and (facts is None or facts.frames > sampling.num_frames):
        found.append(
            (
                "num_frames",
                str(sampling.num_frames),
                "Transfer1 makes as many frames as the input has",
                "leave it out, or shorten the input",
            )
        )
    if sampling.seed is not None and sampling.seed >= _SEEDS - 100:
        found.append(("seed", str(sampling.seed), "Transfer1 takes 32 bits", f"give one below {_SEEDS - 100}"))
    if sampling.negative_prompt == "":
        found.append(
            ("negative_prompt", "''", "Transfer1 fails on an empty one", "leave it out, or say something")
        )
    if facts is not None and facts.frames < 2:
        found.append(("video", f"{facts.frames} frame", "Transfer1 fails on a single image", "give a video"))
    if run.job_type == "distilled" and run.signature != ("edge",):
        message = "Transfer1's distilled checkpoint has edge alone"
        found.append(("job_type", "distilled", message, "use edge alone, or job_type inference"))
    for control in run.controls:
        if not control.weight:
            continue
        found += [(f"controls.{control.name}", *rest) for rest in _control(control)]
    return tuple(Problem("", None, *parts) for parts in found)


def _control(control: Control) -> list[tuple[str, str, str]]:
    found = []
    if CONTROLS[control.name].derivation is Derivation.NONE and control.video is None:
        found.append(("no video", "Transfer1 cannot make this control video", "give it"))
    if control.name == "upscale" and control.video is not None:
        found.append(("video", "Transfer1 upscales the input video itself", "leave the control video out"))
    if control.mask is not None and not (control.mask.endswith(".pt") and control.weight == 1):
        found.append(("mask", "Transfer1 takes weight maps as .pt tensors of weight 1", "convert the mask"))
    if control.mask_prompt is not None and control.name != "seg":
        found.append(("mask_prompt", "Transfer1 reads it for seg alone", "leave it out"))
    return found


TRANSFER1 = Traits(
    name="transfer1",
    controls=frozenset(control.name for control in CONTROLS.values() if control.transfer1),
    launch_keys=(
        "signature",
        "job_type",
        "negative_prompt",
        "num_steps",
        "guidance",
        "sigma_max",
        "seed",
        "fps",
        *PRESETS,
    ),
    batch_keys=("weights", "input", "shape"),
    steppable=False,
    shape=_shape,
    tokens=_tokens,
    chunks=chunker(_CHUNK_FRAMES, 1),
    defaults=Sampling(fps="input"),
    job_types=frozenset({"inference", "upscale", "distilled"}),
    single_step_jobs=frozenset({"distilled"}),
    pure_noise=PURE_NOISE,
    objections=_objections,
)
"""NVIDIA's `transfer.py` with a base spec and a batch file: every setting but prompts, videos and weights holds
for the whole process, and a tensor batch of several runs gets its first run's weights."""


def upscaled(size: Size) -> Size:
    """The size to which Transfer1 upscales one of its buckets: three overlapping tiles each way.

    After `get_upscale_size` of cosmos_transfer1/diffusion/inference/inference_utils.py.
    """
    width, height = size
    longer, shorter = _ASPECTS[size]
    lost, lost_across = _UPSCALE_OVERLAP, int(_UPSCALE_OVERLAP * (shorter / longer))
    across = (lost, lost_across) if width >= height else (lost_across, lost)
    return width * 3 - across[0], height * 3 - across[1]


TRANSFER1_WITH_MAPS = replace(TRANSFER1, batch_keys_with_maps=("input", "shape"))
"""Transfer1 with weights as maps where the runs of a tensor batch differ in their weights."""

TRANSFER1_DRIVEN = replace(
    TRANSFER1_WITH_MAPS,
    launch_keys=tuple(key for key in TRANSFER1.launch_keys if key not in PRESETS),
    frame_size=lambda facts: nearest(TRANSFER1_BUCKETS, facts),
    output=_output,
)
"""Transfer1 as cosmos-batch drives it: edge and vis videos are made beforehand, so that runs of different presets
share a launch; and a tensor batch may mix weights, each given as a map that is constant over the picture."""
