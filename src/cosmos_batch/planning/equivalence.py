"""Group runs that are equal to the planner, so that a million runs become a few thousand groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import PurePath
from typing import Any, Protocol

from cosmos_batch.errors import PlanError, Problem
from cosmos_batch.planning.batch_keys import (
    SETTINGS,
    KeyValues,
    chunk_frames,
    input_facts,
    key_of,
    resolved_defaults,
    setting,
)
from cosmos_batch.planning.cost.model import Work
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import Priority, Run, Sampling, Signature


@dataclass(frozen=True, slots=True, eq=False)
class RunClass:
    """Everything the planner uses of a run; equal for all runs of a class."""

    signature: Signature
    launch_key: KeyValues
    batch_key: KeyValues  # includes the launch key
    batch_key_with_maps: KeyValues | None  # the batch key with weights as maps; None: the engine has no maps
    shape: Shape
    output: Shape  # of its runs' finished videos
    work: Work
    upscale: bool  # its runs are never batched, whatever the limits
    problems: tuple[Problem, ...]  # why the engine cannot execute its runs

    @property
    def simplicity(self) -> tuple[int, Signature]:
        """Sorts the simplest control sets first."""
        return len(self.signature), self.signature


@dataclass(slots=True, eq=False)
class RunGroup:
    """Runs of one class and one priority, in the order given."""

    run_class: RunClass
    priority: int
    places: list[int] = field(default_factory=list)  # indices of its runs in the sequence that was given

    @property
    def first(self) -> int:
        """Index of the group's first run in the sequence that was given."""
        return self.places[0]

    @property
    def level(self) -> Priority:
        """The level of the runs' priority."""
        return Priority.level(self.priority)


_FACTS = attrgetter("width", "height", "frames", "fps")  # hashes far faster than the record


def groups_of(runs: Sequence[Run], traits: Traits, facts: Mapping[str, VideoInfo]) -> list[RunGroup]:
    """Group the runs; groups are in the order of their first runs."""
    alike, classifier = _alike(traits), Classifier(traits)
    classes: dict[Hashable, RunClass] = {}
    groups: dict[Hashable, RunGroup] = {}
    for index, run in enumerate(runs):
        known = input_facts(run, facts) if facts else None
        same = (alike(run), known and _FACTS(known))
        group = groups.get((same, run.priority))
        if group is None:
            if same not in classes:
                classes[same] = classifier.classify(run, known)
            group = groups[same, run.priority] = RunGroup(classes[same], run.priority)
        group.places.append(index)
    return list(groups.values())


def _alike(traits: Traits) -> Callable[[Run], Hashable]:
    """Make a function whose value is equal for runs that are equal in this engine's keys, shape and objections."""
    keys = traits.launch_keys + traits.batch_keys + traits.shape_inputs
    sizes = ("num_frames", "num_conditional_frames", "resolution", "keep_input_resolution")
    wanted = {"num_steps", "guidance", *sizes, *keys}
    settings: Callable[[Any], Hashable] = attrgetter(*(name for name in SETTINGS if name in wanted))
    chunk = chunk_frames if "chunk_frames" in keys else _nothing
    defaults = resolved_defaults(traits)
    weights, presets = "weights" in keys, not {"blur_strength", "canny_threshold"}.isdisjoint(keys)

    def alike(run: Run) -> Hashable:
        controls = tuple(
            [
                (
                    c.name,
                    c.weight if weights else 1,
                    c.preset if presets else "",
                    c.video is None,
                    c.mask and c.mask[-3:] == ".pt",
                    c.mask_prompt is None,
                    c.prompt is None,
                )
                for c in run.controls
                if c.weight > 0
            ]
        )
        guided = run.guided_mask and PurePath(run.guided_mask).suffix
        source = starts_from_input(run, traits, defaults)
        return controls, settings(run.sampling), run.job_type, run.video is None, guided, source, chunk(run)

    return alike


def _nothing(_: Run) -> None:
    return None


class Classifier:
    """Finds the class of a run; what all runs have in common is looked up once."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._defaults = resolved_defaults(traits)
        self._launch_key = key_of(traits.launch_keys, self._defaults)
        self._batch_key = key_of(traits.batch_keys, self._defaults)
        loose = traits.batch_keys_with_maps
        self._batch_key_with_maps = None if loose is None else key_of(loose, self._defaults)

    def classify(self, run: Run, facts: VideoInfo | None) -> RunClass:
        """Return the class of a run whose input has these facts."""
        traits, signature = self._traits, run.signature
        problems = [*_unsupported(run, signature, traits), *traits.objections(run, facts)]
        try:
            shape = traits.shape(run, facts)
        except PlanError as exc:
            problems.append(Problem("", None, "resolution", "", str(exc), ""))
            shape = Shape(0, 0, 0)
        launch_key = self._launch_key(run, None)
        return RunClass(
            signature=signature,
            launch_key=launch_key,
            batch_key=launch_key + self._batch_key(run, shape),
            batch_key_with_maps=None
            if self._batch_key_with_maps is None
            else launch_key + self._batch_key_with_maps(run, shape),
            shape=shape,
            output=shape if problems else traits.finished(run, facts),
            work=_work(run, shape, len(signature), traits, self._defaults),
            upscale=run.job_type == "upscale" or "upscale" in signature,
            problems=tuple(problems),
        )


class ClassSource(Protocol):
    """Where the classes of runs are known from."""

    def of(self, run: Run, facts: Mapping[str, VideoInfo]) -> RunClass:
        """Return the class of a run. `facts`: of its videos, by path, as far as they are known."""


class RunClasses:
    """Finds the classes of runs one by one; runs that are equal to the planner get the same class."""

    def __init__(self, traits: Traits) -> None:
        self._alike = _alike(traits)
        self._classifier = Classifier(traits)
        self._classes: dict[Hashable, RunClass] = {}

    def of(self, run: Run, facts: Mapping[str, VideoInfo]) -> RunClass:
        """Return the class of a run. `facts`: of its videos, by path, as far as they are known."""
        known = input_facts(run, facts) if facts else None
        same = (self._alike(run), known and _FACTS(known))
        found = self._classes.get(same)
        if found is None:
            found = self._classes[same] = self._classifier.classify(run, known)
        return found


def work_of(run: Run, shape: Shape, traits: Traits) -> Work:
    """The work of a run of that shape, in the units of the cost model."""
    return _work(run, shape, len(run.signature), traits, resolved_defaults(traits))


def _work(run: Run, shape: Shape, controls: int, traits: Traits, defaults: Sampling) -> Work:
    single = run.job_type in traits.single_step_jobs
    return Work(
        steps=(1 if single else setting(run, "num_steps", defaults)) * traits.chunks(run, shape.frames),
        rows=1 if single or _guidance(run, traits, defaults) == 0 else 2,
        tokens=traits.tokens(run, shape),
        controls=controls,
        pixels=shape.width * shape.height * shape.frames,
        source=run.guided_generation is not None or starts_from_input(run, traits, defaults),
    )


def starts_from_input(run: Run, traits: Traits, defaults: Sampling) -> bool:
    """Whether a run starts from its input video, noised, and not from pure noise."""
    if traits.pure_noise is None:
        return False
    level: float = setting(run, "sigma_max", defaults)
    return level < traits.pure_noise


def _guidance(run: Run, traits: Traits, defaults: Sampling) -> float:
    fixed = traits.fixed.guidance if traits.fixed else None
    found: float = setting(run, "guidance", defaults) if fixed is None else fixed
    return found


def _unsupported(run: Run, signature: Signature, traits: Traits) -> list[Problem]:
    problems = []
    for name in traits.missing(signature):
        known = ", ".join(sorted(traits.controls))
        message = f"engine {traits.name} has no such control"
        problems.append(Problem("", None, f"controls.{name}", "", message, f"it has {known}"))
    if run.job_type not in traits.job_types:
        does = ", ".join(sorted(traits.job_types))
        message = f"engine {traits.name} does not do this"
        problems.append(Problem("", None, "job_type", run.job_type, message, f"it does {does}"))
    shared = run.sampling.num_conditional_frames
    if shared not in (None, traits.overlap) and not traits.free_overlap:
        message = f"engine {traits.name} makes chunks with an overlap of {traits.overlap}"
        problems.append(Problem("", None, "num_conditional_frames", str(shared), message, "leave it out"))
    if run.guided_generation is not None and not traits.guided_generation:
        message = f"engine {traits.name} has no guided generation"
        problems.append(Problem("", None, "guided_generation_mask", "", message, "leave it out"))
    return problems


def _named_videos(run: Run) -> Iterator[tuple[str, str]]:
    """Field and path of each input and control video that a run names."""
    if run.video is not None:
        yield "video", run.video
    yield from ((f"controls.{c.name}.video", c.video) for c in run.active if c.video is not None)


def _misnamed(run: Run, traits: Traits) -> Iterator[Problem]:
    """Problems of videos whose file names have a suffix that the engine does not read."""
    if traits.suffixes is None:
        return
    for field_name, path in _named_videos(run):
        if not path.endswith(tuple(traits.suffixes)):
            known = ", ".join(sorted(traits.suffixes))
            message = f"engine {traits.name} does not read a file of such a name"
            yield Problem("", None, field_name, path, message, f"it takes names that end in {known}")


def _of_many_sizes(run: Run, traits: Traits, facts: Mapping[str, VideoInfo]) -> Iterator[Problem]:
    """Problems of control videos that the engine would resize to another size than the run's first video."""
    if traits.frame_size is None:
        return
    known = [(name, traits.frame_size(facts[path])) for name, path in _named_videos(run) if path in facts]
    for name, size in known[1:]:
        if size != known[0][1]:
            found = "{}x{}".format(*size)
            wanted = "{}x{}".format(*known[0][1])
            message = f"engine {traits.name} brings it to another size than the {known[0][0]}, which gets {wanted}"
            yield Problem("", None, name, found, message, "give videos of one aspect ratio")


class Refusals:
    """Finds why the engine cannot execute runs, one by one."""

    def __init__(self, traits: Traits, facts: Mapping[str, VideoInfo]) -> None:
        self._traits = traits
        self._facts = facts
        self._classes = RunClasses(traits)
        self._by_file = traits.suffixes is not None or traits.frame_size is not None

    def of(self, run: Run) -> tuple[Problem, ...]:
        """All problems of a run; none where the engine can execute it."""
        found = self._classes.of(run, self._facts).problems
        if self._by_file:
            found = (*found, *_misnamed(run, self._traits), *_of_many_sizes(run, self._traits, self._facts))
        return found


def refusals_by_run(
    runs: Sequence[Run], traits: Traits, facts: Mapping[str, VideoInfo] | None = None
) -> dict[str, tuple[Problem, ...]]:
    """The runs that the engine cannot execute, by id in the order of the runs, each with all its problems."""
    refusals = Refusals(traits, facts or {})
    found = ((run.id, refusals.of(run)) for run in runs)
    return {run_id: problems for run_id, problems in found if problems}


def refusals(
    runs: Sequence[Run], traits: Traits, facts: Mapping[str, VideoInfo] | None = None
) -> tuple[Problem, ...]:
    """Every reason why the engine cannot execute some of the runs; each problem's field begins with the run id."""
    reasons = refusals_by_run(runs, traits, facts)
    return tuple(
        replace(problem, field=f"{run_id}: {problem.field}")
        for run_id, problems in reasons.items()
        for problem in problems
    )
