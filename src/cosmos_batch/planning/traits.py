"""Traits of an engine: what it needs equal in a launch and a batch, and what it can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cosmos_batch.errors import Problem
from cosmos_batch.media.info import VideoInfo as VideoInfo
from cosmos_batch.run import Run, Sampling, Signature

STATIC_LIMITS: Mapping[int, int] = {1: 8, 2: 4, 3: 2, 4: 2}
"""Runs of a batch by control count before anything was measured; counts that are not named take 1."""

PURE_NOISE = 80.0
"""A run whose `sigma_max` is at least this starts from pure noise; below, from its input noised to that level
(Transfer1's rule)."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The size of the video that goes through the network, in pixels and frames."""

    width: int
    height: int
    frames: int  # of the whole video, which may be several chunks


def _no_objections(_run: Run, _facts: VideoInfo | None) -> tuple[Problem, ...]:
    return ()


class Notice(NamedTuple):
    """A setting of a run that is taken and probably not meant."""

    field: str  # of `Sampling`
    found: object
    message: str
    remedy: str


def _no_notices(_run: Run, _facts: VideoInfo | None) -> tuple[Notice, ...]:
    return ()


def _unchanged(fps: float) -> float:
    return fps


@dataclass(frozen=True, slots=True)
class Traits:
    """Properties of an engine that the planner needs.

    A key names what must be equal among runs: a field of `Run` ("signature", "job_type"), a field of its
    `Sampling` ("seed", "guidance"), or one of
    "weights" (of the active controls, and whether they come as maps),
    "blur_strength" and "canny_threshold" (the presets with which vis and edge are to be made),
    "input" (whether there is an input video), "bucket" (width and height), "shape" (those and the frames),
    "chunk_frames" (the run's own length of a chunk).

    `shape`, `tokens`, `chunks` and `objections` may read what the keys and `shape_inputs` name, steps, guidance,
    frames, conditional frames and resolution, the facts, which inputs each active control has, and of guided
    generation the suffix of the mask; never a prompt or a path. So the planner calls them once for all runs that
    are equal in these.
    """

    name: str
    controls: frozenset[str]  # the control branches that the engine has
    launch_keys: tuple[str, ...]  # equal among all runs of a launch
    batch_keys: tuple[str, ...]  # equal among all runs of a batch, beside the launch keys
    shape: Callable[[Run, VideoInfo | None], Shape]  # of a run with that input, in this engine
    tokens: Callable[[Run, Shape], int]  # tokens of one forward pass over one chunk of a run of that shape
    chunks: Callable[[Run, int], int]  # chunks of a run of so many frames
    defaults: Sampling = field(default_factory=Sampling)  # the model's values of settings that a run leaves open
    ragged: bool = False
    """True: a batch may mix control sets without padding, and every batch has a size of its own.
    False: a launch has one batch size, and its runs are cut into batches in the order in which they are given."""
    job_types: frozenset[str] = frozenset({"inference"})
    single_step_jobs: frozenset[str] = frozenset()
    """Job types of one unguided step for each chunk, whatever steps and guidance a run asks for."""
    max_batch: Mapping[int, int] = field(default_factory=lambda: STATIC_LIMITS)
    """Runs of a batch by control count before anything was measured; counts that are not named take 1."""
    objections: Callable[[Run, VideoInfo | None], tuple[Problem, ...]] = _no_objections
    """Problems of a run beyond controls, job type and shape: settings that the engine does not support."""
    max_runs: int | None = None
    """Largest number of runs of a batch, whatever was measured; None: no such bound."""
    overlap: int = 1
    """Frames that a chunk shares with the one before, where a run does not say."""
    free_overlap: bool = False
    """Whether a run may choose the frames that its chunks share."""
    guided_generation: bool = False
    """Whether the engine has guided generation."""
    pure_noise: float | None = None
    """A run whose `sigma_max` is below starts from its input video, which is encoded for that; None: none does."""
    fixed: Sampling | None = None
    """Settings that have these values whatever a run asks for, because the model has no others; None: none."""
    own: frozenset[str] = frozenset()
    """Settings whose values in `defaults` precede those that a format of NVIDIA's fills in for another model."""
    notices: Callable[[Run, VideoInfo | None], tuple[Notice, ...]] = _no_notices
    """Settings of a run, as the user wrote it, that are taken and have no or another effect."""
    draft_steps: int | None = None
    """Steps that show what a video will be like; None: the model takes few steps as it is."""
    shape_inputs: tuple[str, ...] = ()
    """What these functions read beside the keys, named like the keys."""
    batch_keys_with_maps: tuple[str, ...] | None = None
    """The batch keys where every run gives its weights as maps, at extra cost; None: the engine has no maps."""
    suffixes: frozenset[str] | None = None
    """Suffixes that file names of input and control videos may have; None: any."""
    frame_size: Callable[[VideoInfo], tuple[int, int]] | None = None
    """The size to which the engine resizes a video, if it must be the same for all videos of a run."""
    steppable: bool = True
    """Whether runs can join, be preempted and be cancelled between two denoising steps; else between launches."""
    input_fps: Callable[[float], float] = _unchanged
    """The frame rate of the output from that of the input, where a run asks for the rate of its input."""
    crops: bool = False
    """Whether the engine crops a video to the network's shape; else it stretches it."""
    output: Callable[[Run, VideoInfo | None], Shape] | None = None
    """Size and frames of the finished video; None: those of `shape`."""
    may_keep_size: bool = False
    """Whether a run may ask for an output of its input's size; else outputs never have it."""

    def finished(self, run: Run, facts: VideoInfo | None) -> Shape:
        """Size and frames of a run's finished video."""
        return (self.output or self.shape)(run, facts)

    def missing(self, signature: Signature) -> Signature:
        """The controls of a signature that the engine does not have."""
        return tuple(name for name in signature if name not in self.controls)
