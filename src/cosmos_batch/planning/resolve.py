"""Fill in what a run leaves open, so that it says exactly which video is made."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, replace
from typing import NamedTuple, TypeAlias

from pydantic import TypeAdapter

from cosmos_batch.errors import MediaError
from cosmos_batch.formats.run_builder import BoundedCache
from cosmos_batch.media.info import VideoInfo, frame_count
from cosmos_batch.planning.batch_keys import leading_video, resolved_defaults
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import MAX_FPS, MIN_FPS, ResolvedRun, ResolvedSampling, Run, Sampling

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
    return Resolver(traits, facts).resolve(run)


class _Found(NamedTuple):
    """The settings that depend on the videos of a run, and on all its settings but the seed."""

    resolution: str
    num_frames: int
    fps: float
    num_conditional_frames: int
    keep_input_resolution: bool


class RunKinds:
    """Finds the kinds of runs: equal for runs that differ in id, prompt, seed, priority and annotations alone."""

    def __init__(self) -> None:
        self._without_seed = BoundedCache[Sampling, Sampling]()

    def of(self, run: Run) -> Hashable:
        """The kind of a run."""
        settings = self._without_seed.get(run.sampling)
        if settings is None:
            settings = self._without_seed.put(run.sampling, replace(run.sampling, seed=0))
        return settings, run.video, run.controls, run.job_type, run.guided_generation, run.cosmos3


_Samplings: TypeAlias = BoundedCache[Sampling, ResolvedSampling]


class Resolver:
    """Resolves runs one by one; what runs have in common is worked out once."""

    def __init__(self, traits: Traits, facts: Mapping[str, VideoInfo]) -> None:
        """`facts` must hold every video of the runs."""
        self._traits = traits
        self._facts = facts
        self._defaults = resolved_defaults(traits)
        self._kinds = RunKinds()
        self._found = BoundedCache[Hashable, tuple[_Found, _Samplings]]()
        self._samplings = BoundedCache[_Found, _Samplings]()

    def sampling(self, run: Run) -> ResolvedSampling:
        """The settings of a run with every one filled in. Raises as `resolve` does."""
        kind = self._kinds.of(run)
        known = self._found.get(kind)
        if known is None:
            found = self._of_videos(run)
            same = self._samplings.get(found) or self._samplings.put(found, _Samplings())
            known = self._found.put(kind, (found, same))
        found, samplings = known
        made = samplings.get(run.sampling)
        if made is None:
            full = asdict(self._wanted(run).over(self._defaults)) | found._asdict()
            made = samplings.put(run.sampling, _SAMPLING.validate_python(full))
        return made

    def resolve(self, run: Run) -> ResolvedRun:
        """The run with every setting filled in. Raises as the function `resolve` does."""
        return with_sampling(run, self.sampling(run))

    def _wanted(self, run: Run) -> Sampling:
        fixed = self._traits.fixed
        return fixed.over(run.sampling) if fixed else run.sampling

    def _of_videos(self, run: Run) -> _Found:
        traits, sampling = self._traits, self._wanted(run).over(self._defaults)
        lead = leading_facts(run, self._facts)
        shape = traits.shape(replace(run, sampling=sampling), lead)
        fps = sampling.fps
        if not isinstance(fps, float | int):
            fps = _input_fps(run, traits, lead)
        shared = sampling.num_conditional_frames
        return _Found(
            resolution=f"{shape.width}x{shape.height}",
            num_frames=frame_count(run, self._facts),
            fps=fps,
            num_conditional_frames=traits.overlap if shared is None else shared,
            keep_input_resolution=traits.may_keep_size and _differs(replace(run, sampling=sampling), traits, lead),
        )


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
        acceptance=run.acceptance,
    )
