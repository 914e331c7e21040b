"""A run, the validated request for one video, and a resolved run, whose settings are all filled in.

Paths are absolute strings, so that a million runs fit in memory; a path is data until the file is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import IntEnum
from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

from cosmos_batch.controls import CONTROLS, ControlName
from cosmos_batch.spans import with_file

Signature = tuple[str, ...]
"""The sorted names of a run's active controls."""

JobType = Literal["inference", "upscale", "distilled"]
"""What is made of the input: a video, an upscaled one, a video by the model's distilled checkpoint."""

Strength = Literal["very_low", "low", "medium", "high", "very_high"]
"""NVIDIA's five presets for the Canny thresholds of edge and the blur of vis."""

# The rules of the fields: `formats` applies them to files and describes each violation.
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# A run's id becomes a folder name and a part of file names, so it has only characters that are safe everywhere.
RunId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"),
    Field(description="1 to 128 letters, digits, '.', '_' or '-', the first a letter, digit or '_'"),
]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Guidance = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]  # g in c + g (c - u)
Sigma = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
MIN_FPS, MAX_FPS = 0.001, 1000.0  # rates that a video file can hold
Fps = Annotated[float, Field(ge=MIN_FPS, le=MAX_FPS, allow_inf_nan=False)]
FrameCount = Annotated[int, Field(ge=1, le=5000)]
ConditionalFrames = Annotated[int, Field(ge=0, le=2)]
MAX_STEP_THRESHOLD = 1_000_000
StepThreshold = Annotated[int, Field(ge=0, le=MAX_STEP_THRESHOLD)]
STEP_THRESHOLD = 25
"""NVIDIA's default of the last step that sees the input video."""
Label = Annotated[int, Field(ge=1, lt=2**31)]
Resolution = Annotated[
    str,
    StringConstraints(pattern=r"^([1-9][0-9]{1,4}p?|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$"),
    Field(description="a height such as '720' or '480p', or 'WIDTHxHEIGHT', in quotes"),
]

SweepName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"),
    Field(description="1 to 128 letters, digits, '.', '_' or '-'"),
]
MAX_TAGS, MAX_TAG = 32, 256  # tags of a run, characters of a value
MAX_METADATA = 16_384
"""Characters of a run's metadata, as JSON."""

_FROZEN = ConfigDict(extra="forbid")


class Priority(IntEnum):
    """Levels of priority, each with the number that its name stands for. Any integer is a priority.

    A run of a higher level precedes every run of a lower one, however long that has waited.
    """

    LOW = -10
    NORMAL = 0
    HIGH = 10
    URGENT = 100

    @classmethod
    def level(cls, priority: int) -> Priority:
        """Return the level of any priority: negative is low, 0 normal, positive high, 100 and above urgent."""
        if priority <= cls.NORMAL:
            return cls.NORMAL if priority == cls.NORMAL else cls.LOW
        return cls.URGENT if priority >= cls.URGENT else cls.HIGH

    @property
    def least(self) -> int:
        """The least priority of this level that a file or a request may give."""
        return {Priority.LOW: -(2**31), Priority.HIGH: Priority.NORMAL + 1}.get(self, int(self))


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Control:
    """One conditioning branch of a run."""

    name: ControlName
    weight: Weight  # strength; 0: the branch is not used at all
    video: str | None = None  # a given control video, or a span of one; None: made from the input video
    preset: Strength = "medium"  # edge: Canny thresholds; vis: blur
    prompt: str | None = None  # seg: the objects to segment, where its control video is made
    mask: str | None = None  # a video that is white where the control applies
    mask_prompt: str | None = None  # the objects where the control applies, which are segmented


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Sampling:
    """How a video is sampled. None: the value of the chosen model, else that of `DEFAULTS`."""

    num_steps: Steps | None = None
    guidance: Guidance | None = None
    sigma_max: Sigma | None = None
    seed: Seed | None = None
    fps: Fps | Literal["input"] | None = None  # of the output file; "input": the input video's own
    num_frames: FrameCount | None = None  # None: as many as the input has
    resolution: Resolution | None = None  # "720", "480p", or "WIDTHxHEIGHT"
    negative_prompt: str | None = None
    num_conditional_frames: ConditionalFrames | None = None  # frames that a chunk shares with the one before
    keep_input_resolution: bool | None = None  # whether output and controls are resized to the input's size

    def over(self, defaults: Sampling) -> Sampling:
        """Return these settings, with each open one taken from `defaults`."""
        own, others = _SAMPLING.dump_python(self), _SAMPLING.dump_python(defaults)
        unset = {name: value for name, value in others.items() if own[name] is None and value is not None}
        return replace(self, **unset) if unset else self


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class ResolvedSampling(Sampling):
    """How a video is sampled, with every setting filled in, so that any machine makes the same video."""

    num_steps: Steps
    guidance: Guidance
    sigma_max: Sigma
    seed: Seed
    fps: Fps  # of the output file
    num_frames: FrameCount
    resolution: Resolution  # "WIDTHxHEIGHT", in pixels
    negative_prompt: str
    num_conditional_frames: Annotated[int, Field(ge=0)] = (
        1  # absent from the JSON and the fingerprint where it is 1
    )
    keep_input_resolution: bool = False  # true only where that is another size; absent as above where it is false


DEFAULTS = Sampling(
    num_steps=35,
    guidance=7.0,
    sigma_max=70.0,
    seed=42,
    fps=8.0,
    negative_prompt="low quality, blurry",
    keep_input_resolution=False,
)
"""The values of settings that neither the run nor its model gives."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Cosmos3Settings:
    """Settings of a run that Cosmos 3 alone has; other engines ignore them. None: Cosmos 3's own value."""

    chunk_frames: FrameCount | None = None  # frames that go through the network together
    negative_metadata: Literal["none", "same", "inverse"] | None = None  # length and size in the negative prompt


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class GuidedGeneration:
    """Guided generation of Transfer2.5: where a mask is white, the network sees the input video, noised.

    It does so in the first steps, so that the video keeps the shapes of the input there.
    """

    mask: str  # a video or picture, or an `.npz` file of labels [frames, height, width] under the name `arr_0`
    step_threshold: StepThreshold = (
        STEP_THRESHOLD  # the last step, counted from 0 in each chunk, that sees the input video
    )
    foreground_labels: tuple[Label, ...] | None = None  # of an `.npz` file, that are white; None: all but 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Annotations:
    """What users say about a run, by which they find it again; no pixel depends on it."""

    sweep: SweepName | None = None  # the sweep that the run is part of
    tags: Mapping[str, str] = Field(default_factory=dict)  # to filter by
    metadata: Mapping[str, JsonValue] = Field(default_factory=dict)  # kept and shown, never interpreted


MAX_ATTEMPTS = 20
"""Most times that a run is made because of its scores."""
Attempts = Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
SeedStep = Annotated[int, Field(ge=1, lt=2**31)]
Comparison = Annotated[str, StringConstraints(pattern=r"^(>=|<=|>|<)[^\s<>=]+$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Acceptance:
    """The scores that a video has to reach, and how often a run is made until one does.

    Each attempt is made with another seed; no pixel of an attempt depends on anything here.
    """

    scores: Mapping[str, Comparison]  # by name of score: {"edge_f1": ">0.5"}
    attempts: Attempts = 3  # at most
    seed_step: SeedStep = 1  # from the seed of an attempt to that of the next
    first_seed: Seed | None = None  # the run's own, in a later attempt; None: this is the first


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Run:
    """One video to make: input video, prompt, controls with weights, sampling settings."""

    id: RunId
    prompt: Prompt
    controls: tuple[Control, ...]  # as given; those of weight 0 are kept, and not loaded
    video: str | None = (
        None  # or a span of one (`spans`); None only where every active control has a video of its own
    )
    sampling: Sampling = Sampling()
    priority: int = Priority.NORMAL
    job_type: JobType = "inference"
    cosmos3: Cosmos3Settings | None = None  # absent from the JSON and the fingerprint where it is None
    guided_generation: GuidedGeneration | None = None  # absent in the same way
    annotations: Annotations | None = None  # absent in the same way; never in the fingerprint
    acceptance: Acceptance | None = None  # absent in the same way; never in the fingerprint

    @property
    def active(self) -> tuple[Control, ...]:
        """The controls of weight above 0, sorted by name."""
        return tuple(sorted((c for c in self.controls if c.weight > 0), key=lambda control: control.name))

    @property
    def signature(self) -> Signature:
        """The sorted names of the active controls."""
        return tuple(sorted(control.name for control in self.controls if control.weight > 0))

    @property
    def guided_mask(self) -> str | None:
        """The mask of guided generation; None: the run has none."""
        return None if self.guided_generation is None else self.guided_generation.mask

    @property
    def presets(self) -> dict[str, Strength]:
        """The presets of the controls that have one, by setting: `canny_threshold`, `blur_strength`."""
        settings = ((CONTROLS[control.name].preset, control.preset) for control in self.controls)
        return {setting: preset for setting, preset in settings if setting}

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that determines the video.

        Id, priority, annotations, acceptance and inactive controls do not.
        """
        request = as_dict(self)
        for name in ("id", "priority", "annotations", "acceptance"):
            request.pop(name, None)
        active = (control for control in request["controls"] if control["weight"] > 0)
        request["controls"] = sorted(active, key=itemgetter("name"))
        text = json.dumps(request, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class ResolvedRun(Run):
    """A run with every sampling setting filled in, as `planning.resolve` makes it and engines get it.

    Its JSON and its fingerprint are those of a `Run` of the same values.
    """

    sampling: ResolvedSampling

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts that a network reads: the negative one too, where the run is guided."""
        negative = (self.sampling.negative_prompt,) if self.sampling.guidance > 0 else ()
        return (self.prompt, *negative)


def with_paths(run: Run, rename: Callable[[str], str]) -> Run:
    """The run with its active controls alone, and the path of every file replaced by what `rename` gives for it.

    Spans of videos stay.
    """

    def renamed(path: str | None) -> str | None:
        return None if path is None else with_file(path, rename)

    controls = (replace(c, video=renamed(c.video), mask=renamed(c.mask)) for c in run.active)
    guided = run.guided_generation
    if guided is not None:
        guided = replace(guided, mask=with_file(guided.mask, rename))
    return replace(run, video=renamed(run.video), controls=tuple(controls), guided_generation=guided)


def first_try(run: ResolvedRun) -> ResolvedRun:
    """The run as it was asked for, whichever of its attempts this is."""
    rule = run.acceptance
    if rule is None or rule.first_seed is None:
        return run
    own = replace(run.sampling, seed=rule.first_seed)
    return replace(run, sampling=own, acceptance=replace(rule, first_seed=None))


def nth_try(run: ResolvedRun, tries: int) -> ResolvedRun:
    """The run as its next attempt makes it, after `tries` attempts whose videos were not accepted."""
    asked = first_try(run)
    if not tries or asked.acceptance is None:
        return asked
    first, rule = asked.sampling.seed, asked.acceptance
    seed = (first + tries * rule.seed_step) % 2**63
    return replace(asked, sampling=replace(asked.sampling, seed=seed), acceptance=replace(rule, first_seed=first))


_RUN, _SAMPLING = TypeAdapter(Run), TypeAdapter(Sampling)


def as_dict(run: Run) -> dict[str, Any]:
    """The fields of a run as `dataclasses.asdict` gives them, in a tenth of its time.

    Fields that earlier versions lack are absent where they have no effect, so that fingerprints stay.
    """
    made: dict[str, Any] = _RUN.dump_python(run)
    for name in ("cosmos3", "guided_generation", "annotations", "acceptance"):
        if made[name] is None:
            del made[name]
    sampling = made["sampling"]
    resolved = isinstance(run, ResolvedRun)
    for name, usual in (("num_conditional_frames", 1), ("keep_input_resolution", False)):
        if sampling[name] == (usual if resolved else None):
            del sampling[name]
    return made
