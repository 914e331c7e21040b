"""What a distilled model takes of a run: one to four steps, no guidance, a start from noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cosmos_batch.engines.inprocess.model_settings import DISTILLED_STEPS
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED_SETTINGS
from cosmos_batch.engines.resolutions import frames_of
from cosmos_batch.errors import PlanError, Problem
from cosmos_batch.planning.traits import Notice, Traits, VideoInfo
from cosmos_batch.run import Run, Sampling

_DEFAULTS = DISTILLED_SETTINGS.defaults
_WITHOUT = Sampling(guidance=0.0, negative_prompt="")


def distilled_traits(traits: Traits, chunk_frames: int) -> Traits:
    """The traits of a model of this architecture, as those of a distilled one.

    `chunk_frames` is the length on which it was trained. Raises PlanError for defaults that it does not take.
    """
    defaults = traits.defaults.over(_DEFAULTS)
    if wrong := list(_objections(defaults)):
        raise PlanError("\n".join(f"model {traits.name!r}: defaults.{problem}" for problem in wrong))

    def notices(run: Run, facts: VideoInfo | None) -> tuple[Notice, ...]:
        return tuple(_notices(run, facts, chunk_frames))

    return replace(
        traits,
        defaults=defaults,
        fixed=_WITHOUT,
        draft_steps=None,
        own=frozenset({"num_steps", "guidance", "sigma_max", "negative_prompt"}),
        objections=lambda run, facts: (*traits.objections(run, facts), *_objections(run.sampling)),
        notices=notices,
        shape_inputs=(*traits.shape_inputs, "sigma_max"),
    )


def _objections(sampling: Sampling) -> Iterator[Problem]:
    """Numbers of steps that it was not trained for, and a start from the input video."""
    steps, sigma_max = sampling.num_steps, sampling.sigma_max
    if steps is not None and steps > DISTILLED_STEPS:
        message = f"the distilled model takes 1 to {DISTILLED_STEPS} steps"
        remedy = f"say {DISTILLED_STEPS}, or leave it out; for more steps choose the general model"
        yield Problem("", None, "num_steps", str(steps), message, remedy)
    if sigma_max not in (None, _DEFAULTS.sigma_max):
        message = "the distilled model starts from noise alone"
        remedy = "leave it out, or choose the general model to start from the input video"
        yield Problem("", None, "sigma_max", f"{sigma_max:g}", message, remedy)


def _notices(run: Run, facts: VideoInfo | None, chunk_frames: int) -> Iterator[Notice]:
    """Settings without effect, and videos longer than those on which it was trained."""
    guidance, negative = run.sampling.guidance, run.sampling.negative_prompt
    if guidance:
        message = "has no effect: the distilled model has no guidance"
        yield Notice("guidance", guidance, message, "leave it out, or choose the general model")
    if negative and not negative.isspace():
        message = "has no effect: the distilled model has no guidance, which alone reads it"
        yield Notice("negative_prompt", negative, message, "leave it out, or choose the general model")
    frames = frames_of(run, facts, chunk_frames)
    if frames > chunk_frames:
        message = (
            f"is more than {chunk_frames}: the distilled model was not trained to go on from earlier frames, "
            "so that later ones may be worse"
        )
        remedy = f"ask for at most {chunk_frames} frames, or choose the general model"
        yield Notice("num_frames", frames, message, remedy)
