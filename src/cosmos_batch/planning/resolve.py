"""From what a run leaves open to what exactly is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cosmos_batch.media.info import VideoInfo, frame_count
from cosmos_batch.planning.batch_keys import resolved_defaults
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Run

UNKNOWN_FPS = 24.0
"""Frames per second where a run asks for its input's, and its input says none."""


def leading_facts(run: Run, facts: Mapping[str, VideoInfo]) -> VideoInfo | None:
    """Facts of the input video, else of the first active control's video."""
    paths = (run.video, *(control.video for control in run.active))
    return next((facts[path] for path in paths if path is not None and path in facts), None)


def resolve(run: Run, traits: Traits, facts: Mapping[str, VideoInfo]) -> Run:
    """The run with every setting filled in: size in pixels, number of frames, frames per second and all others.

    An engine makes the same video of it on any machine. `facts` must hold every video of the run. Raises
    PlanError where the engine has no such resolution, MediaError where the videos are shorter than asked for.
    """
    sampling = run.sampling.over(resolved_defaults(traits))
    lead = leading_facts(run, facts)
    shape = traits.shape(replace(run, sampling=sampling), lead)
    fps = sampling.fps
    if fps == "input":
        fps = traits.input_fps(lead.fps if lead else UNKNOWN_FPS)
    made = replace(
        sampling, resolution=f"{shape.width}x{shape.height}", num_frames=frame_count(run, facts), fps=fps
    )
    return replace(run, sampling=made)
