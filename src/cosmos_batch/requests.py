"""Files to runs, with video info, every problem and every warning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_batch.errors import CosmosBatchError, MediaError, Problem
from cosmos_batch.formats import LoadedRuns, read_files
from cosmos_batch.formats.sweep.overrides import parse_overrides
from cosmos_batch.media.info import VideoInfo, frame_count, videos_of
from cosmos_batch.planning.batch_keys import input_facts
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.input_warnings import input_warnings
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run, Sampling

_NO_SETTINGS = Sampling()
PROBES = 8  # videos whose headers are read at the same time


@dataclass(frozen=True, slots=True)
class Requests:
    """The runs of the files, the info of their videos, the problems and the warnings."""

    runs: tuple[Run, ...]  # as they were written, and free of problems
    facts: Mapping[str, VideoInfo]  # of every video of the runs, by path
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()

    def resolved(self, traits: Traits) -> tuple[ResolvedRun, ...]:
        """The runs with every setting filled in by the engine's traits. Raises PlanError and MediaError."""
        return tuple(resolve(run, traits, self.facts) for run in self.runs)

    def without(self, problems: Sequence[Problem]) -> Requests:
        """The requests with more problems, each of which names in `found` a run that is left out."""
        left_out = {problem.found for problem in problems}
        runs = tuple(run for run in self.runs if run.id not in left_out) if problems else self.runs
        return replace(self, runs=runs, problems=(*self.problems, *problems))


def gather(
    files: Sequence[Path],
    traits: Traits | None,
    obstacles: Sequence[Problem] = (),
    *,
    chosen: bool = True,
    strict: bool = False,
    decode: bool = False,
    overrides: Sequence[str] = (),
) -> Requests:
    """Read the files and every video's header, and collect all problems and warnings.

    `traits`: those of the engine, whose limits are checked too; None: no engine is chosen. `obstacles`: why the
    engine cannot make any run; with one of them, no run is left. `chosen`: whether the user named the engine, so
    that warnings are about it, too. `strict`: a warning counts as a problem of its run. `decode`: decode the
    videos too, which finds damage in their midst. `overrides`: settings in place of those of every run, each as
    `num_steps=4`. Raises InputError for overrides that are no settings.
    """
    settings = parse_overrides(overrides)
    reading = read_files(files).giving_way(traits.own if traits else frozenset()).with_settings(settings)
    facts, damaged = probe_videos({path for run in reading.runs for path in videos_of(run)}, decode=decode)
    own_size = traits.defaults.resolution if traits and chosen else None
    problems = [*obstacles, *reading.problems]
    warnings = [*reading.warnings, *reading.size_warnings(own_size)]
    readable = [run for run in reading.runs if damaged.keys().isdisjoint(videos_of(run))]
    refused = refusals_by_run(readable, traits, facts) if traits else {}
    runs = []
    for run in reading.runs:
        found = [damaged[path] for path in videos_of(run) if path in damaged]
        found += map(str, refused.get(run.id, ()))
        made = found or _resolved(run, traits, facts)
        if not isinstance(made, Run):
            problems += [_problem(reading, run, message) for message in made]
            continue
        warned = _warnings(reading, run, made.sampling, traits if chosen else None, facts)
        warnings += warned
        if not (strict and (warned or reading.has_warning(run) or reading.size_gives_way(run, own_size))):
            runs.append(run)
    if strict:
        problems += [replace(warning, level="problem") for warning in warnings]
        warnings = []
    return Requests(() if obstacles else tuple(runs), facts, tuple(problems), tuple(warnings))


def probe_videos(paths: Iterable[str], *, decode: bool = False) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """Read the header of every video; returns the info of readable videos and the errors of others, by path."""
    from cosmos_batch.media.video import probe

    def probe_one(path: str) -> VideoInfo | str:
        try:
            return probe(path, to_end=decode)
        except MediaError as exc:
            return str(exc)

    ordered = sorted(paths)
    with ThreadPoolExecutor(PROBES) as pool:
        found = dict(zip(ordered, pool.map(probe_one, ordered), strict=True))
    infos = {path: result for path, result in found.items() if isinstance(result, VideoInfo)}
    return infos, {path: result for path, result in found.items() if isinstance(result, str)}


def _resolved(run: Run, traits: Traits | None, facts: Mapping[str, VideoInfo]) -> Run | list[str]:
    """The run, resolved if there are traits; else the reasons why it cannot be."""
    try:
        if traits is not None:
            return resolve(run, traits, facts)
        frame_count(run, facts)
    except CosmosBatchError as exc:
        return [str(exc)]
    return run


def _warnings(
    reading: LoadedRuns, run: Run, settings: Sampling, traits: Traits | None, facts: Mapping[str, VideoInfo]
) -> list[Problem]:
    """Warnings about the videos and weights of a run. `settings`: resolved ones, used where there are traits."""
    return input_warnings(
        run,
        facts,
        names=reading.field_names_of(run),
        location=reading.location_of(run),
        sampling=settings if traits else None,
        crops=traits.crops if traits else False,
        keeps_size=traits is None or traits.may_keep_size,
        notices=traits.notices(run, input_facts(run, facts)) if traits else (),
    )


def _problem(reading: LoadedRuns, run: Run, message: str) -> Problem:
    place = reading.location_of(run)
    name = f"run {run.id}"
    return Problem(place.file, place.line, "", "", message if name in message else f"{name}: {message}", "")
