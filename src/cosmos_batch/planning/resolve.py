"""Fill in what a run leaves open, so that it says exactly which video is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from pydantic import TypeAdapter

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo, frame_count
from cosmos_batch.planning.batch_keys import leading_video, resolved_defaults
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import MAX_FPS, MIN_FPS, ResolvedRun, ResolvedSampling, Run

UNKNOWN_FPS = 24.0
"""Frames per second where a run asks for the rate of its input, and the rate of the input is unknown."""

_SAMPLING = TypeAdapter(ResolvedSampling)


def leading_facts(run: Run, facts: Mapping[str, VideoInfo]) -> VideoInfo | None:
    """Facts of the input video, else of the first active control's video, in NVIDIA's order."""
    path = leading_video(run)
    return None if path is None else facts.get(path)


def resolve(run: Run, traits: Traits, facts: Mapping[str, VideoInfo]) -> ResolvedRun:
    """Fill in every setting of a run: size in pixels, number of frames, frames per second and all others.

    An engine makes the same video of the resolved run on any machine. `facts` must hold every video of the run.
    Raises PlanError where the engine has no such resolution, MediaError where a video is shorter than asked for,
    or has a frame rate that no output can have.
    """
    wanted = traits.fixed.over(run.sampling) if traits.fixed else run.sampling
    sampling = wanted.over(resolved_defaults(traits))
    lead = leading_facts(run, facts)
    shape = traits.shape(replace(run, sampling=sampling), lead)
    fps = sampling.fps
    if fps == "input":
        fps = _input_fps(run, traits, lead)
    found: dict[str, object] = {
        "resolution": f"{shape.width}x{shape.height}",
        "num_frames": frame_count(run, facts),
        "fps": fps,
        "keep_input_resolution": traits.may_keep_size and _differs(replace(run, sampling=sampling), traits, lead),
    }
    if sampling.num_conditional_frames is None:
        found["num_conditional_frames"] = traits.overlap
    return with_sampling(run, _SAMPLING.validate_python(asdict(sampling) | found))


def _differs(run: Run, traits: Traits, lead: VideoInfo | None) -> bool:
    """Whether a run keeps the size of its input, and that is not the network's."""
    return bool(run.sampling.keep_input_resolution) and (
        lead is None or traits.finished(run, lead) != traits.shape(run, lead)
    )


def _input_fps(run: Run, traits: Traits, lead: VideoInfo | None) -> float:
    """The frame rate that the input gives. Raises MediaError for one that an output cannot have."""
    given = lead.fps if lead else UNKNOWN_FPS
    fps = traits.input_fps(given)
    if not MIN_FPS <= fps <= MAX_FPS:
        raise MediaError(
            f"run {run.id}: its input has {given:g} frames per second, so that the output would have {fps:g}; "
            f"set fps, from {MIN_FPS:g} to {MAX_FPS:g}, or convert the input"
        )
    return fps


def with_sampling(run: Run, sampling: ResolvedSampling) -> ResolvedRun:
    """The run with these settings, and all else as it is."""
    return ResolvedRun(
        id=run.id,
        prompt=run.prompt,
        controls=run.controls,
        video=run.video,
        sampling=sampling,
        priority=run.priority,
        job_type=run.job_type,
        cosmos3=run.cosmos3,
        guided_generation=run.guided_generation,
        annotations=run.annotations,
    )
