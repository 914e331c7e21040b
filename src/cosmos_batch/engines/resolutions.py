"""Sizes and lengths of NVIDIA's models: aspect buckets, named resolutions, chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cosmos_batch.errors import PlanError
from cosmos_batch.formats.nvidia.cosmos3 import SIZES
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run

Size = tuple[int, int]
"""Width and height, in pixels."""
Buckets = Mapping[Size, Size]
"""Aspect ratio, such as (16, 9), to the size of videos whose ratio is nearest to it."""


def five(wide: Size, less_wide: Size, square: Size) -> Buckets:
    """Buckets for 16:9, 4:3, 1:1, 3:4 and 9:16; the upright ones are the wide ones with their sides exchanged."""
    return {
        (16, 9): wide,
        (4, 3): less_wide,
        (1, 1): square,
        (3, 4): less_wide[::-1],
        (9, 16): wide[::-1],
    }


# cosmos-transfer2.5, cosmos_transfer2/_src/predict2/datasets/utils.py, VIDEO_RES_SIZE_INFO
TRANSFER25_SIZES: Mapping[str, Buckets] = {
    "1080": five((1920, 1056), (1440, 1056), (1024, 1024)),
    "1024": five((1280, 768), (1280, 1024), (1024, 1024)),
    "720": five((1280, 704), (960, 704), (960, 960)),
    "720p": five((1280, 720), (960, 720), (960, 960)),
    "512": five((640, 384), (640, 512), (512, 512)),
    "480": five((768, 432), (640, 480), (480, 480)),
    "480p": five((832, 480), (640, 480), (640, 640)),
    "256": five((320, 192), (320, 256), (256, 256)),
}
# cosmos-transfer1, cosmos_transfer1/diffusion/inference/inference_utils.py, VIDEO_RES_SIZE_INFO
TRANSFER1_BUCKETS: Buckets = five((1280, 704), (960, 704), (960, 960))
COSMOS3_SIZES: Mapping[str, Buckets] = {name: five(*sizes) for name, sizes in SIZES.items()}
PATCH = 16
"""Pixels of a token, each way: the autoencoder's 8 times the network's patch of 2."""


def nearest(buckets: Buckets, facts: VideoInfo | None) -> Size:
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


def size_named(resolution: str, sizes: Mapping[str, Buckets], facts: VideoInfo | None) -> Size:
    """The size of a named resolution for such an input, or of "WIDTHxHEIGHT". Raises PlanError for neither."""
    if resolution in sizes:
        return nearest(sizes[resolution], facts)
    if "x" in resolution:
        return _explicit(resolution)
    known = ", ".join([*sizes, "WIDTHxHEIGHT"])
    raise PlanError(
        f"resolution {resolution!r}: not known to this model, which takes {known}; "
        "name one of these, or a model that has it with --model"
    )


def frames_of(run: Run, facts: VideoInfo | None, default: int) -> int:
    """Frames of a run's output for an input; for an unknown one those that it asks for, else the default."""
    wanted = run.sampling.num_frames
    if facts is None:
        return wanted or default
    return min(wanted, facts.frames) if wanted else facts.frames


def chunk_length(frames: int, chunk_frames: int) -> int:
    """Frames of a chunk of a video of so many frames: a single frame goes through the network as it is.

    The published weights were trained on chunks of 24 latent frames and on single ones.
    """
    return 1 if frames == 1 else chunk_frames


def chunker(chunk_frames: int, overlap: int) -> Callable[[Run, int], int]:
    """A counter of the chunks of a run, of which neighbours share `overlap` frames where the run does not say."""

    def chunks(run: Run, frames: int) -> int:
        own, rest = run.sampling.num_conditional_frames, frames - chunk_frames
        return 1 if rest <= 0 else 1 + -(-rest // max(1, chunk_frames - (overlap if own is None else own)))

    return chunks


def kept_size(info: VideoInfo) -> Size:
    """The size of an output that keeps the size of its input: that, rounded down to even numbers.

    As NVIDIA's `reshape_output_video_to_input_resolution` does (transfer2/inference/utils.py): H.264 in the pixel
    format that every player shows has no odd sides.
    """
    return max(2, info.width // 2 * 2), max(2, info.height // 2 * 2)


def latent_tokens(chunk_frames: int, shape: Shape, temporal: int = 4) -> int:
    """Tokens of a chunk; shorter videos are padded. `temporal`: frames of a latent frame, but of the first."""
    latent_frames = 1 + -(-(chunk_length(shape.frames, chunk_frames) - 1) // temporal)
    return latent_frames * (shape.height // PATCH) * (shape.width // PATCH)


def place_of(size: Size, sizes: Mapping[str, Buckets]) -> tuple[str, Size] | None:
    """The named resolution and aspect ratio of a bucket's size; None for a size that is no bucket."""
    for name, buckets in sizes.items():
        for aspect, bucket in buckets.items():
            if bucket == size:
                return name, aspect
    return None


def parsed(resolution: str) -> Size | None:
    """Width and height of "WIDTHxHEIGHT"; None for a named resolution."""
    width, x, height = resolution.partition("x")
    return (int(width), int(height)) if x else None
