"""Traits of Transfer2.5 in this process: only the shape must be equal within a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.transfer25.distilled import distilled_traits
from cosmos_batch.engines.inprocess.transfer25.published import SETTINGS
from cosmos_batch.engines.resolutions import (
    TRANSFER25_SIZES,
    Buckets,
    chunker,
    frames_of,
    kept_size,
    latent_tokens,
    size_named,
)
from cosmos_batch.errors import PlanError, Problem
from cosmos_batch.planning.traits import PURE_NOISE, Shape, Traits, VideoInfo
from cosmos_batch.run import Run, Sampling

DRAFT_STEPS = 12
"""Steps of a draft, a third of the published model's: the solver is of order 2, so that a few steps show what is
where; the others add detail."""


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
    `defaults.resolution` must be set: it is what a run gets that names none. `chunk_frames` is the stretch that
    goes through the network at once, to which shorter ones but a single frame are padded, `overlap` how many
    frames two neighbours share, `temporal` how many frames one latent frame after the first stands for. Raises
    PlanError where the model's own resolution is not one of its own.
    """
    if defaults.resolution is None:
        raise PlanError(f"model {name!r}: its defaults must name a resolution")
    own = defaults.resolution
    size_named(own, sizes, None)

    def shape(run: Run, facts: VideoInfo | None) -> Shape:
        width, height = size_named(run.sampling.resolution or own, sizes, facts)
        return Shape(width, height, frames_of(run, facts, chunk_frames))

    def output(run: Run, facts: VideoInfo | None) -> Shape:
        network = shape(run, facts)
        if facts is None or not run.sampling.keep_input_resolution:
            return network
        return Shape(*kept_size(facts), network.frames)

    def objections(run: Run, _facts: VideoInfo | None) -> tuple[Problem, ...]:
        return tuple(_overlap_problems(run, chunk_frames))

    return Traits(
        name=name,
        controls=controls,
        launch_keys=("job_type",),
        batch_keys=("shape",),
        shape=shape,
        tokens=lambda _, shape: latent_tokens(chunk_frames, shape, temporal),
        chunks=chunker(chunk_frames, overlap),
        overlap=overlap,
        free_overlap=True,
        guided_generation=True,
        pure_noise=PURE_NOISE,
        objections=objections,
        defaults=defaults,
        ragged=True,
        output=output,
        may_keep_size=True,
        draft_steps=DRAFT_STEPS,
    )


def _overlap_problems(run: Run, chunk_frames: int) -> Iterator[Problem]:
    """Chunks that share all their frames, so that a video would never end."""
    shared = run.sampling.num_conditional_frames
    if shared is not None and shared >= chunk_frames:
        message, remedy = f"the model's chunks have {chunk_frames} frames", "give a lower number, or leave it out"
        yield Problem("", None, "num_conditional_frames", str(shared), message, remedy)


_FROM_NOISE = Sampling(resolution="720", sigma_max=SETTINGS.defaults.sigma_max)  # not from its input by default

TRANSFER25 = transfer_traits("transfer", sizes=TRANSFER25_SIZES, defaults=_FROM_NOISE)
"""Cosmos-Transfer2.5-2B in this process."""


def traits_of_model(settings: ModelSettings, controls: frozenset[str]) -> Traits:
    """A model as the planner sees it, with the control branches that it has.

    Raises PlanError for settings that contradict each other.
    """
    sizes = {
        resolution: {_ratio(aspect): size for aspect, size in buckets.items()}
        for resolution, buckets in settings.sizes.items()
    }
    traits = transfer_traits(
        settings.name,
        sizes=sizes,
        defaults=settings.defaults,
        chunk_frames=settings.chunk_frames,
        overlap=settings.overlap,
        controls=controls,
    )
    return distilled_traits(traits, settings.chunk_frames) if settings.sampler == "distilled" else traits


def _ratio(aspect: str) -> tuple[int, int]:
    wide, high = aspect.split(":")
    return int(wide), int(high)
