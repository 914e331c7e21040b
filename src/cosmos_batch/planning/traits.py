"""What an engine needs equal, what it leaves free, and what it can do: compatibility as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cosmos_batch.errors import Problem
from cosmos_batch.media.info import VideoInfo as VideoInfo
from cosmos_batch.run import Run, Sampling, Signature

STATIC_LIMITS: Mapping[int, int] = {1: 8, 2: 4, 3: 2, 4: 2}
"""Runs of a batch by control count before anything was measured; counts that are not named take 1."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The size of what goes through the network, in pixels and frames."""

    width: int
    height: int
    frames: int  # of the whole video; longer than a chunk means several chunks one after the other


def _no_objections(_run: Run, _facts: VideoInfo | None) -> tuple[Problem, ...]:
    return ()


def _unchanged(fps: float) -> float:
    return fps


@dataclass(frozen=True, slots=True)
class Traits:
    """An engine, as the planner sees it.

    A key names what must be equal among runs: a field of `Run` ("signature", "job_type"), a field of its
    `Sampling` ("seed", "guidance"), or one of
    "weights" (of the active controls, and whether they come as maps),
    "blur_strength" and "canny_threshold" (the presets with which vis and edge are to be made),
    "input" (whether there is an input video), "bucket" (width and height), "shape" (those and the frames).

    `shape` and `objections` may look at what the keys and `shape_inputs` name, at steps, guidance, frames and
    resolution, at the facts, and at what each active control brings along; never at a prompt or a path. So the
    planner asks once for all runs that are alike in these.
    """

    name: str
    controls: frozenset[str]  # the control branches that it has
    launch_keys: tuple[str, ...]  # equal among all runs of a launch
    batch_keys: tuple[str, ...]  # equal among the runs of a batch, beside the launch keys
    shape: Callable[[Run, VideoInfo | None], Shape]  # what a run of that input becomes in this engine
    tokens: Callable[[Shape], int]  # tokens of one forward pass over one chunk
    chunks: Callable[[int], int]  # how many chunks so many frames take
    defaults: Sampling = field(default_factory=Sampling)  # what the model says where a run says nothing
    ragged: bool = False
    """True: a batch may mix control sets at no waste, and every batch has a size of its own.
    False: a launch has one batch size, and its runs are cut into batches in the order in which they are given."""
    job_types: frozenset[str] = frozenset({"inference"})
    max_batch: Mapping[int, int] = field(default_factory=lambda: STATIC_LIMITS)
    """Runs of a batch by control count before anything was measured; counts that are not named take 1."""
    objections: Callable[[Run, VideoInfo | None], tuple[Problem, ...]] = _no_objections
    """What else in a run the engine cannot do, beside controls, job types and shapes."""
    max_runs: int | None = None
    """Runs of a batch at most, whatever was measured; None: no such bound."""
    shape_inputs: tuple[str, ...] = ()
    """What `shape` and `objections` look at beside the keys, named like those."""
    batch_keys_with_maps: tuple[str, ...] | None = None
    """The batch keys where every run brings its weights as maps, at extra cost; None: the engine knows no maps."""
    suffixes: frozenset[str] | None = None
    """How the file names of input and control videos may end; None: anyhow."""
    frame_size: Callable[[VideoInfo], tuple[int, int]] | None = None
    """The size that the engine brings any single video to, where all videos of a run must come to the same."""
    steppable: bool = True
    """Whether runs can join, be set aside and be dropped between two denoising steps; else between launches."""
    input_fps: Callable[[float], float] = _unchanged
    """The rate at which the engine writes, from that of the input, where a run asks for its input's."""
    output: Callable[[Run, VideoInfo | None], Shape] | None = None
    """Size and frames of the finished video; None: those of `shape`."""

    def finished(self, run: Run, facts: VideoInfo | None) -> Shape:
        """Size and frames of a run's finished video."""
        return (self.output or self.shape)(run, facts)

    def missing(self, signature: Signature) -> Signature:
        """Those of a signature's controls that this engine lacks."""
        return tuple(name for name in signature if name not in self.controls)
