"""Settings that neither NVIDIA's script of Transfer2.5 nor that of Cosmos 3 supports, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cosmos_batch.engines.resolutions import (
    Buckets,
    Size,
    nearest,
    parsed,
    place_of,
    size_named,
)
from cosmos_batch.errors import Problem
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import DEFAULTS, Run

Objection = tuple[str, str, str, str]
"""Field, value found, what is wrong with it, remedy."""

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".webm"})
"""File name suffixes that both scripts take for a video."""

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
"""File name suffixes that both scripts take for a picture."""


def requested_size(run: Run, facts: VideoInfo | None, sizes: Mapping[str, Buckets]) -> Size:
    """The size that a run asks for, even one that the script lacks. Raises PlanError for an unknown name."""
    wanted = run.sampling.resolution or "720"
    return parsed(wanted) or size_named(wanted, sizes, facts)


def size_problems(
    run: Run, facts: VideoInfo | None, sizes: Mapping[str, Buckets], script: str
) -> Iterable[Objection]:
    """A size in pixels that the script does not have."""
    wanted = run.sampling.resolution
    size = parsed(wanted) if wanted else None
    if wanted and size and place_of(size, sizes) is None:
        near = ", ".join(f"{w}x{h}" for w, h in dict.fromkeys(nearest(each, facts) for each in sizes.values()))
        yield "resolution", wanted, f"{script} has no such size", f"for this input, one of {near}"


def sampling_problems(run: Run, script: str) -> Iterable[Objection]:
    """A sigma_max or a guidance that the script ignores or refuses."""
    sampling = run.sampling
    if sampling.sigma_max not in (None, DEFAULTS.sigma_max):
        yield "sigma_max", f"{sampling.sigma_max:g}", f"it has no effect in {script}", "leave it out"
    if sampling.guidance is not None and sampling.guidance > 7:
        yield "guidance", f"{sampling.guidance:g}", f"{script} takes 0 to 7", "lower it"


def rate_problems(run: Run, rate: float | None, script: str) -> Iterable[Objection]:
    """A frame rate other than `rate`, at which the script writes."""
    fps = run.sampling.fps
    if rate is not None and fps not in (None, "input") and fps != rate:
        yield "fps", f"{fps:g}", f"{script} writes at the input's rate, here {rate:g}", "leave it out"


def as_problems(found: Iterable[Objection]) -> tuple[Problem, ...]:
    """Objections as problems that name no file."""
    return tuple(Problem("", None, *parts) for parts in found)
