"""Files to runs, with video info, every problem and every warning."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_batch.addresses import is_address
from cosmos_batch.dispatch.output.named_outputs import NamedOutputs
from cosmos_batch.dispatch.output.shard import Shard
from cosmos_batch.errors import CosmosBatchError, MediaError, Problem, StorageError
from cosmos_batch.formats import LoadedRuns, read_files
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.run_builder import BoundedCache
from cosmos_batch.formats.sweep.overrides import parse_overrides
from cosmos_batch.media.info import VideoInfo, frame_count, videos_of, videos_of_all
from cosmos_batch.planning.batch_keys import input_facts
from cosmos_batch.planning.equivalence import Refusals
from cosmos_batch.planning.gc_pause import gc_paused
from cosmos_batch.planning.input_warnings import input_warnings
from cosmos_batch.planning.resolve import Resolver, RunKinds
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run, Sampling
from cosmos_batch.spans import split_span

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
        resolver = Resolver(traits, self.facts)
        with gc_paused():
            return tuple([resolver.resolve(run) for run in self.runs])

    def only(self, ids: Container[str]) -> Requests:
        """The requests of these runs alone."""
        return replace(self, runs=tuple(run for run in self.runs if run.id in ids))

    def named(self, outputs: NamedOutputs) -> Requests:
        """The requests without those that a pattern of outputs gives no name, which become problems."""
        if outputs.names is None:
            return self
        return replace(self.only(outputs.names), problems=(*self.problems, *outputs.problems))

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
    shard: Shard | None = None,
) -> Requests:
    """Read the files and every video's header, and collect all problems and warnings.

    `traits`: those of the engine, whose limits are checked too; None: no engine is chosen. `obstacles`: why the
    engine cannot make any run; with one of them, no run is left. `chosen`: whether the user named the engine, so
    that warnings are about it, too. `strict`: a warning counts as a problem of its run. `decode`: decode the
    videos too, which finds damage in their midst. `overrides`: settings in place of those of every run, each as
    `num_steps=4`. `shard`: the part of the runs that is
    looked at; problems of files are reported by every shard. Raises InputError for overrides that are no settings,
    and StorageError where a store of inputs cannot be used.
    """
    settings = parse_overrides(overrides)
    with gc_paused():
        reading, own = read_files(files).with_rules(settings), settings.sampling
        if shard is not None:
            reading = reading.only(shard.of(run.id for run in reading.runs))
        return examine(reading, traits, obstacles, chosen=chosen, strict=strict, decode=decode, settings=own)


def examine(
    reading: LoadedRuns,
    traits: Traits | None,
    obstacles: Sequence[Problem] = (),
    *,
    chosen: bool = True,
    strict: bool = False,
    decode: bool = False,
    settings: Sampling = _NO_SETTINGS,
) -> Requests:
    """Read every video's header, and collect all problems and warnings, as `gather` does for the runs of files.

    `settings`: sampling settings in place of those of every run.
    """
    with gc_paused():
        reading = reading.giving_way(traits.own if traits else frozenset()).with_settings(settings)
        facts, damaged = probe_videos(videos_of_all(reading.runs), decode=decode)
        own_size = traits.defaults.resolution if traits and chosen else None
        review = _Review(reading, traits, facts, damaged, chosen=chosen)
        runs = [run for run in reading.runs if review.accepts(run, strict=strict)]
    problems = [*obstacles, *reading.problems, *review.problems]
    warnings = [*reading.warnings, *reading.size_warnings(own_size), *review.warnings]
    if strict:
        runs = [run for run in runs if not (reading.has_warning(run) or reading.size_gives_way(run, own_size))]
        problems += [replace(warning, level="problem") for warning in warnings]
        warnings = []
    return Requests(() if obstacles else tuple(runs), facts, tuple(problems), tuple(warnings))


def probe_videos(paths: Iterable[str], *, decode: bool = False) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """Read the header of every video; returns the info of readable videos and the errors of others, by path."""
    from cosmos_batch.media.video import probe

    ordered = sorted(paths)
    missing = fetch_inputs(ordered)

    def probe_one(path: str) -> VideoInfo | str:
        if fault := missing.get(split_span(path)[0]):
            return fault
        try:
            return probe(path, to_end=decode)
        except MediaError as exc:
            return str(exc)

    with ThreadPoolExecutor(PROBES) as pool:
        found = dict(zip(ordered, pool.map(probe_one, ordered), strict=True))
    infos = {path: result for path, result in found.items() if isinstance(result, VideoInfo)}
    return infos, {path: result for path, result in found.items() if isinstance(result, str)}


def fetch_inputs(paths: Iterable[str]) -> dict[str, str]:
    """Fetch the files that paths name by addresses, or see that their copies are up to date.

    Returns the errors of those that do not exist, by address. Raises StorageError where a store cannot be used.
    """
    addresses = sorted({split_span(path)[0] for path in paths if is_address(path)})
    if not addresses:
        return {}
    from cosmos_batch.storage.copies import Copies

    copies = Copies()

    def fetch(address: str) -> str:
        try:
            copies.fetch(address, check=True)
        except StorageError:
            raise
        except MediaError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(PROBES) as pool:
        faults = dict(zip(addresses, pool.map(fetch, addresses), strict=True))
    return {address: fault for address, fault in faults.items() if fault}


class _Review:
    """Finds the problems and warnings of runs, one by one; what runs have in common is looked at once."""

    def __init__(
        self,
        reading: LoadedRuns,
        traits: Traits | None,
        facts: Mapping[str, VideoInfo],
        damaged: Mapping[str, str],
        *,
        chosen: bool,
    ) -> None:
        self.problems: list[Problem] = []
        self.warnings: dict[Problem, None] = {}  # runs of one place of a file may share one
        self._reading, self._facts, self._damaged = reading, facts, damaged
        self._traits = traits if chosen else None  # those that warnings are about
        self._refusals = Refusals(traits, facts) if traits else None
        self._resolver = Resolver(traits, facts) if traits else None
        self._kinds = RunKinds()
        self._clear = BoundedCache[Hashable, bool]()  # whether runs of a kind without problems have no warning

    def accepts(self, run: Run, *, strict: bool) -> bool:
        """Whether a run is free of problems; with `strict`, of warnings as well."""
        location = self._reading.location_of(run)
        kind = self._kinds.of(run), location.file
        clear = self._clear.get(kind)
        if clear is None:
            settings = self._settings(run)
            if settings is None:
                return False
            clear = self._clear.put(kind, not self._warnings(run, settings, location))
        if clear:
            return True
        settings = self._resolver.sampling(run) if self._resolver else run.sampling
        self.warnings.update(dict.fromkeys(self._warnings(run, settings, location)))
        return not strict

    def _settings(self, run: Run) -> Sampling | None:
        """The settings of a run, resolved if there are traits; None after a problem."""
        found = [self._damaged[path] for path in videos_of(run) if path in self._damaged]
        if not found:
            found = list(map(str, self._refusals.of(run))) if self._refusals else []
        if not found:
            try:
                if self._resolver is not None:
                    return self._resolver.sampling(run)
                frame_count(run, self._facts)
                return run.sampling
            except CosmosBatchError as exc:
                found = [str(exc)]
        self.problems += [_problem(self._reading, run, message) for message in found]
        return None

    def _warnings(self, run: Run, settings: Sampling, location: Location) -> list[Problem]:
        """Warnings about the videos and weights of a run. `settings`: resolved ones, where there are traits."""
        traits, facts = self._traits, self._facts
        return input_warnings(
            run,
            facts,
            names=self._reading.field_names_of(run),
            location=location,
            sampling=settings if traits else None,
            crops=traits.crops if traits else False,
            keeps_size=traits is None or traits.may_keep_size,
            notices=traits.notices(run, input_facts(run, facts)) if traits else (),
        )


def _problem(reading: LoadedRuns, run: Run, message: str) -> Problem:
    place = reading.location_of(run)
    name = f"run {run.id}"
    return Problem(place.file, place.line, "", "", message if name in message else f"{name}: {message}", "")
