"""The engines that the planner knows by name, and the making of traits for in-process models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cosmos_batch.errors import PlanError, Problem
from cosmos_batch.planning.traits import Shape, Traits, VideoFacts
from cosmos_batch.run import TRANSFER_CONTROLS, Control, Run, Sampling

Size = tuple[int, int]
"""Width and height, in pixels."""
Buckets = Mapping[Size, Size]
"""Aspect ratio, as (16, 9), to the size that a video nearest to it is brought to."""


def _five(wide: Size, less_wide: Size, square: Size) -> Buckets:
    """Buckets for 16:9, 4:3, 1:1, 3:4 and 9:16; the upright ones are the wide ones turned."""
    return {
        (16, 9): wide,
        (4, 3): less_wide,
        (1, 1): square,
        (3, 4): less_wide[::-1],
        (9, 16): wide[::-1],
    }


# cosmos-transfer2.5, cosmos_transfer2/_src/predict2/datasets/utils.py, VIDEO_RES_SIZE_INFO
TRANSFER25_SIZES: Mapping[str, Buckets] = {
    "1080": _five((1920, 1056), (1440, 1056), (1024, 1024)),
    "1024": _five((1280, 768), (1280, 1024), (1024, 1024)),
    "720": _five((1280, 704), (960, 704), (960, 960)),
    "720p": _five((1280, 720), (960, 720), (960, 960)),
    "512": _five((640, 384), (640, 512), (512, 512)),
    "480": _five((768, 432), (640, 480), (480, 480)),
    "480p": _five((832, 480), (640, 480), (640, 640)),
    "256": _five((320, 192), (320, 256), (256, 256)),
}
# cosmos-transfer1, cosmos_transfer1/diffusion/inference/inference_utils.py, VIDEO_RES_SIZE_INFO
TRANSFER1_BUCKETS: Buckets = _five((1280, 704), (960, 704), (960, 960))
_TRANSFER1_CHUNK = 121
PATCH = 16
"""Pixels of a token, each way: the autoencoder's 8 times the network's patch of 2."""


def nearest(buckets: Buckets, facts: VideoFacts | None) -> Size:
    """The bucket nearest in width / height, as NVIDIA's `detect_aspect_ratio` chooses; the first if unknown."""
    if facts is None:
        return next(iter(buckets.values()))
    ratio = facts.width / facts.height
    aspect = min(buckets, key=lambda aspect: (aspect[0] / aspect[1] - ratio) ** 2)
    return buckets[aspect]


def _explicit(resolution: str) -> Size:
    width, height = (int(part) for part in resolution.split("x"))
    if width % PATCH or height % PATCH:
        near = "x".join(str(max(PATCH, round(side / PATCH) * PATCH)) for side in (width, height))
        raise PlanError(f"resolution {resolution!r}: sides must be multiples of {PATCH}; {near} would do")
    return width, height


def _size(resolution: str, sizes: Mapping[str, Buckets], facts: VideoFacts | None) -> Size:
    if resolution in sizes:
        return nearest(sizes[resolution], facts)
    if "x" in resolution:
        return _explicit(resolution)
    known = ", ".join([*sizes, "WIDTHxHEIGHT"])
    raise PlanError(f"resolution {resolution!r}: not known to this model, which takes {known}")


def _frames(run: Run, facts: VideoFacts | None, default: int) -> int:
    wanted = run.sampling.num_frames
    if facts is None:
        return wanted or default
    return min(wanted, facts.frames) if wanted else facts.frames


def _chunker(chunk_frames: int, overlap: int) -> Callable[[int], int]:
    def chunks(frames: int) -> int:
        rest = max(0, frames - chunk_frames)
        return 1 + -(-rest // (chunk_frames - overlap))

    return chunks


def transfer_traits(
    name: str,
    *,
    sizes: Mapping[str, Buckets],
    defaults: Sampling,
    chunk_frames: int = 93,
    overlap: int = 1,
    temporal: int = 4,
    controls: frozenset[str] = frozenset(TRANSFER_CONTROLS),
) -> Traits:
    """Traits of an in-process model: only the shape must be equal in a batch, all else is free per run.

    `sizes` holds the model's named resolutions; "WIDTHxHEIGHT" is taken too where both are multiples of 16.
    `defaults.resolution` must be set: it is what a run gets that names none. `chunk_frames` is the longest
    stretch that goes through the network at once, `overlap` how many frames two neighbours share, `temporal`
    how many frames one latent frame after the first stands for. Raises PlanError where the model's own
    resolution is not one of its own.
    """
    if defaults.resolution is None:
        raise PlanError(f"model {name!r}: its defaults must name a resolution")
    own = defaults.resolution
    _size(own, sizes, None)

    def shape(run: Run, facts: VideoFacts | None) -> Shape:
        width, height = _size(run.sampling.resolution or own, sizes, facts)
        return Shape(width, height, _frames(run, facts, chunk_frames))

    def tokens(shape: Shape) -> int:
        latent_frames = 1 + -(-(min(shape.frames, chunk_frames) - 1) // temporal)
        return latent_frames * (shape.height // PATCH) * (shape.width // PATCH)

    return Traits(
        name=name,
        controls=controls,
        launch_keys=("job_type",),
        batch_keys=("shape",),
        shape=shape,
        tokens=tokens,
        chunks=_chunker(chunk_frames, overlap),
        defaults=defaults,
        ragged=True,
    )


def _transfer1_shape(_run: Run, facts: VideoFacts | None) -> Shape:
    width, height = nearest(TRANSFER1_BUCKETS, facts)
    return Shape(width, height, facts.frames if facts else _TRANSFER1_CHUNK)


def _transfer1_tokens(shape: Shape) -> int:
    """Every chunk is padded to 121 frames, which an autoencoder of 8 x 8 x 8 makes 16 latent frames."""
    return 16 * (shape.height // PATCH) * (shape.width // PATCH)


def _transfer1_size(facts: VideoFacts | None) -> str:
    width, height = nearest(TRANSFER1_BUCKETS, facts)
    return f"{width}x{height}"


def _transfer1_objections(run: Run, facts: VideoFacts | None) -> tuple[Problem, ...]:
    sampling, found = run.sampling, []
    if sampling.resolution not in (None, "720") and sampling.resolution != _transfer1_size(facts):
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
    if sampling.negative_prompt == "":
        found.append(
            ("negative_prompt", "''", "Transfer1 fails on an empty one", "leave it out, or say something")
        )
    if facts is not None and facts.frames < 2:
        found.append(("video", f"{facts.frames} frame", "Transfer1 fails on a single image", "give a video"))
    for control in run.controls:
        if not control.weight:
            continue
        found += [(f"controls.{control.name}", *rest) for rest in _transfer1_control(control)]
    return tuple(Problem("", None, *parts) for parts in found)


def _transfer1_control(control: Control) -> list[tuple[str, str, str]]:
    found = []
    if control.name in ("hdmap", "lidar") and control.video is None:
        found.append(("no video", "Transfer1 cannot make this control video", "give it"))
    if control.mask is not None and not (control.mask.endswith(".pt") and control.weight == 1):
        found.append(("mask", "Transfer1 takes weight maps as .pt tensors of weight 1", "convert the mask"))
    if control.mask_prompt is not None and control.name != "seg":
        found.append(("mask_prompt", "Transfer1 reads it for seg alone", "leave it out"))
    return found


TRANSFER1 = Traits(
    name="transfer1",
    controls=frozenset({"edge", "vis", "depth", "seg", "keypoint", "hdmap", "lidar", "upscale"}),
    launch_keys=(
        "signature",
        "job_type",
        "negative_prompt",
        "num_steps",
        "guidance",
        "sigma_max",
        "seed",
        "fps",
        "blur_strength",
        "canny_threshold",
    ),
    batch_keys=("weights", "input", "shape"),
    shape=_transfer1_shape,
    tokens=_transfer1_tokens,
    chunks=_chunker(_TRANSFER1_CHUNK, 1),
    job_types=frozenset({"inference", "upscale"}),
    objections=_transfer1_objections,
)
"""NVIDIA's `transfer.py` with a base spec and a batch file: every setting but prompts, videos and weights holds
for the whole process, and a tensor batch of several gets its first run's weights."""

TRANSFER25 = transfer_traits("transfer", sizes=TRANSFER25_SIZES, defaults=Sampling(resolution="720"))
"""Cosmos-Transfer2.5-2B in this process."""

ENGINES: Mapping[str, Traits] = {traits.name: traits for traits in (TRANSFER1, TRANSFER25)}


def traits_of(engine: str | Traits) -> Traits:
    """The traits of an engine by name; traits pass through. Raises PlanError for a name that is not known."""
    if isinstance(engine, Traits):
        return engine
    if engine not in ENGINES:
        raise PlanError(f"engine {engine!r} is not known; known are {', '.join(ENGINES)}")
    return ENGINES[engine]
