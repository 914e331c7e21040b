"""Loads files of any known format: runs and problems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats import native
from cosmos_batch.formats.detect import SAMPLE_SIZE, Format, format_of, is_undecided
from cosmos_batch.formats.ids import free_id
from cosmos_batch.formats.input_files import FileFaults, PathResolver, exists
from cosmos_batch.formats.nvidia import cosmos3, transfer1, transfer25
from cosmos_batch.formats.nvidia.transfer1 import BaseSpec
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.formats.records import FastReader, ParsedRecord, Record, RecordFile
from cosmos_batch.formats.run_builder import SourceFile, ValuePool, stem_of
from cosmos_batch.formats.sweep.overrides import Overrides, with_rules, with_settings
from cosmos_batch.formats.sweep.read import NAMES as SWEEP_NAMES
from cosmos_batch.formats.sweep.read import is_sweep, read_sweep
from cosmos_batch.formats.validate import FieldNames
from cosmos_batch.run import Run, Sampling

Reader = Callable[[Record, SourceFile], Run | list[Problem]]

_FIELD_NAMES: Mapping[Format, FieldNames] = {
    Format.NATIVE: native.NAMES,
    Format.TRANSFER25: transfer25.NAMES,
    Format.COSMOS3: cosmos3.NAMES,
    Format.SPEC: transfer1.SPEC_NAMES,
    Format.SAMPLES: transfer1.SAMPLE_NAMES,
    Format.SWEEP: SWEEP_NAMES,
}
_DEFAULT_SIZES = {
    Format.SPEC: "1280x704",
    Format.SAMPLES: "1280x704",
    Format.TRANSFER25: transfer25.DEFAULT_RESOLUTION,
    Format.COSMOS3: cosmos3.DEFAULT_RESOLUTION,
}
"""The resolution of each of NVIDIA's formats where a run names none: a model that has another uses its own."""
_WITHOUT_ID = (Format.SPEC, Format.SAMPLES)  # runs of these formats are named after their file


@dataclass(frozen=True, slots=True)
class LoadedRuns:
    """The valid runs of files, in the order of the files, with every problem and warning."""

    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]  # about records that give their runs all the same
    _locations: Mapping[str, Location]  # by casefolded id
    _formats: Mapping[str, Format]  # by name of the file
    _warned: Set[str]  # casefolded ids of the runs that a warning is about
    _filled: Mapping[str, Set[str]]  # settings that a run's format has filled in, by casefolded id

    def location_of(self, run: Run) -> Location:
        """The location of a run, for problems that are found later."""
        return self._locations[run.id.casefold()]

    def has_warning(self, run: Run) -> bool:
        """Whether a warning is about the record of a run."""
        return run.id.casefold() in self._warned

    def only(self, ids: Set[str]) -> LoadedRuns:
        """These runs, with the problems of all files."""
        return replace(self, runs=tuple(run for run in self.runs if run.id in ids))

    def with_settings(self, settings: Sampling) -> LoadedRuns:
        """The same, with these sampling settings in place of those of every run."""
        return replace(self, runs=with_settings(self.runs, settings)) if settings != Sampling() else self

    def with_rules(self, overrides: Overrides) -> LoadedRuns:
        """The same, with these scores to be reached in place of those of every run."""
        ruled = overrides.scores or overrides.attempts
        return replace(self, runs=with_rules(self.runs, overrides)) if ruled else self

    def giving_way(self, own: Set[str]) -> LoadedRuns:
        """The same, where settings that a format has filled in are left open, if `own` names them.

        For a model that was made for values of its own, beside which the format's defaults mean nothing.
        """
        return replace(self, runs=tuple(self._open(run, own) for run in self.runs)) if own else self

    def _open(self, run: Run, own: Set[str]) -> Run:
        names = own & self._filled.get(run.id.casefold(), frozenset())
        return replace(run, sampling=replace(run.sampling, **dict.fromkeys(names))) if names else run

    def size_gives_way(self, run: Run, own: str | None) -> bool:
        """Whether a run that names no resolution gets `own`, the model's, in place of its format's default."""
        default = _DEFAULT_SIZES.get(self._formats[self.location_of(run).file])
        return run.sampling.resolution is None and None not in (default, own) and own != default

    def size_warnings(self, own: str | None) -> list[Problem]:
        """A warning for each file with runs whose size gives way to `own`, the model's."""
        giving_way: dict[str, list[Run]] = {}
        for run in self.runs if own else ():
            if self.size_gives_way(run, own):
                giving_way.setdefault(self.location_of(run).file, []).append(run)
        return [
            _size_warning(self.location_of(runs[0]), self._formats[file], len(runs), own or "")
            for file, runs in giving_way.items()
        ]

    def field_names_of(self, run: Run) -> FieldNames:
        """The field names of the format that a run was written in."""
        return _FIELD_NAMES[self._formats[self.location_of(run).file]]


def read_files(
    paths: Sequence[Path | str], *, check_inputs: bool = True, score_names: Collection[str] | None = None
) -> LoadedRuns:
    """Read the runs of files of any known format, which is detected by content.

    Bad content never raises: each bad line gives its problems, and the other lines their runs. With
    `check_inputs`, an input file that is missing, empty or no file is a problem of each run that uses it.
    `score_names`: the scores that a rule may name; None: those of this machine.
    """
    records = [RecordFile(Path(path), printable(str(path))) for path in paths]
    return read_records(records, check_inputs=check_inputs, score_names=score_names)


def read_records(
    files: Sequence[RecordFile],
    runs: Iterable[tuple[Run, Location]] = (),
    *,
    check_inputs: bool = True,
    score_names: Collection[str] | None = None,
) -> LoadedRuns:
    """Read the runs of files as `read_files` does, of which some may be in memory, and add runs that were made.

    `runs`: each with the location by which problems name it.
    """
    session = _Loader({} if check_inputs else None, score_names)
    session.read(files)
    session.add_made(runs)
    return LoadedRuns(
        tuple(session.runs),
        tuple(session.problems),
        tuple(session.warnings),
        session.locations,
        session.formats,
        session.warned,
        session.filled,
    )


def run_from_dict(record: Mapping[str, object], *, base: Path | None = None, check_inputs: bool = False) -> Run:
    """The run of a native record; relative paths start from `base`, or from the working directory.

    A record without an id gets one of its fingerprint. Raises InputError with all its problems.
    Checks no file unless `check_inputs` is set.
    """
    paths = PathResolver((base or Path()).absolute(), faults={} if check_inputs else None)
    made = native.read(Record(Location(), None, dict(record)), SourceFile("run", paths, ValuePool()))
    if not isinstance(made, Run):
        raise InputError(made)
    return made if record.get("id") is not None else replace(made, id=f"run-{made.fingerprint[:12]}")


@dataclass(slots=True)
class _OpenedFile:
    """A file whose format was detected."""

    records: RecordFile
    format: Format | None
    source: SourceFile
    head: list[Record | Problem]  # its first records

    @property
    def spec_name(self) -> str:
        """Name of the spec beside it, if it is a Transfer1 batch."""
        return f"{self.records.path.stem}_spec.json"

    @property
    def has_prompts_only(self) -> bool:
        """Whether it has prompts alone: with a spec, that is a Transfer1 batch."""
        records = [record for record in self.head if isinstance(record, Record)]
        return bool(records) and all(record.value.keys() == {"prompt"} for record in records)


class _Loader:
    """The state of one call of `read_files`."""

    def __init__(self, faults: FileFaults | None, score_names: Collection[str] | None = None) -> None:
        self.runs: list[Run] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.warned: set[str] = set()  # casefolded ids of the runs that a warning is about
        self.filled: dict[str, frozenset[str]] = {}  # by casefolded id, where a format has filled in settings
        self._faults = faults
        self._score_names = score_names
        self._pool = ValuePool()
        self.locations: dict[str, Location] = {}  # of every run, by casefolded id
        self.formats: dict[str, Format] = {}  # of every file, by its name in locations
        self._bases: dict[Path, BaseSpec | None] = {}
        self._repeated: list[tuple[int, str]] = []  # place of a problem of an id that is in use, and the id

    def read(self, files: Sequence[RecordFile]) -> None:
        opened = [self._open(file) for file in self._without_duplicates(files)]
        specs = [file for file in opened if file.format is Format.SPEC and len(file.head) == 1]
        spec_of = {id(file): self._spec_of(file, specs) for file in opened}
        used = {id(spec) for spec in spec_of.values() if spec}
        for file in opened:
            if id(file) not in used:
                self._read_one(file, spec_of[id(file)], specs)
        self._suggest_ids()

    def add_made(self, runs: Iterable[tuple[Run, Location]]) -> None:
        """Take runs that were made without a file."""
        for run, location in runs:
            self.formats[location.file] = Format.NATIVE
            self._add(run, location, Format.NATIVE)
        self._suggest_ids()

    def _without_duplicates(self, files: Sequence[RecordFile]) -> Iterator[RecordFile]:
        seen = set()
        for file in files:
            if file.path.absolute() in seen:
                remedy = "name each file once"
                self.problems.append(Location(file.display_name).problem("", "is named twice", remedy))
            else:
                seen.add(file.path.absolute())
                yield file

    def _open(self, records: RecordFile) -> _OpenedFile:
        path = records.path
        head = list(islice(records.records(), SAMPLE_SIZE))
        format_ = format_of(record.value for record in head if isinstance(record, Record))
        if records.is_yaml or (format_ in (None, Format.NATIVE) and _is_sweep(head)):
            format_ = Format.SWEEP
        folder = path.absolute().parent
        # Relative paths start from the file's folder, in NVIDIA's Transfer1 from the working directory.
        fallback = Path.cwd() if format_ in (Format.SPEC, Format.SAMPLES) else None
        paths = PathResolver(folder, None if fallback == folder else fallback, self._faults)
        return _OpenedFile(
            records,
            format_,
            SourceFile(stem_of(path.stem), paths, self._pool, score_names=self._score_names),
            head,
        )

    def _spec_of(self, batch: _OpenedFile, specs: Sequence[_OpenedFile]) -> _OpenedFile | None:
        """The spec of a Transfer1 batch: the one with its name, the only one, or one beside it."""
        if not (batch.format is Format.SAMPLES or batch.has_prompts_only):
            return None
        named = [spec for spec in specs if spec.records.path.name == batch.spec_name]
        candidates = named or specs
        if len(candidates) == 1:
            return candidates[0]
        beside = batch.records.path.with_name(batch.spec_name)
        return self._open(RecordFile(beside, printable(str(beside)))) if exists(beside) else None

    def _read_one(self, file: _OpenedFile, spec: _OpenedFile | None, specs: Sequence[_OpenedFile]) -> None:
        match file.format:
            case Format.SWEEP:
                self._expand(file)
            case Format.SPEC:
                self._collect(file, transfer1.read_spec)
            case Format.TRANSFER25:
                self._collect(
                    file,
                    lambda record, source: transfer25.read(record, source, undecided=is_undecided(record.value)),
                )
            case Format.COSMOS3:
                self._collect(file, cosmos3.read)
            case Format.NATIVE:
                self._collect(
                    file, native.read, lambda raw, location: native.read_fast(raw, location, file.source)
                )
            case Format.SAMPLES | None if spec:
                self._read_batch(file, spec)
            case Format.SAMPLES:
                self.problems.append(_spec_missing(file, specs))
            case None:
                self._collect(file, native.read)

    def _expand(self, file: _OpenedFile) -> None:
        """Take the runs of a sweep."""
        name = file.records.display_name
        self.formats[name] = Format.SWEEP
        location = Location(name)
        for made in read_sweep(file.records.content(), name, file.source):
            if isinstance(made, Run):
                self._add(made, location, Format.SWEEP)
            else:
                self.problems.append(made)

    def _read_batch(self, batch: _OpenedFile, spec: _OpenedFile) -> None:
        base = self._base(spec)
        if base is None:
            message = f"cannot be read without its spec {spec.records.display_name}"
            self.problems.append(Location(batch.records.display_name).problem("", message, "mend the spec"))
            return
        batch.format = Format.SAMPLES
        self._collect(batch, lambda record, source: transfer1.read_sample(record, source, base))

    def _base(self, spec: _OpenedFile) -> BaseSpec | None:
        """The base of a batch; its problems are reported once, however many batches share it."""
        path = spec.records.path.absolute()
        if path not in self._bases:
            record = spec.head[0]
            made = transfer1.read_base(record, spec.source) if isinstance(record, Record) else [record]
            self._bases[path] = made if isinstance(made, BaseSpec) else None
            self._take_warnings(spec.source, [])
            if not isinstance(made, BaseSpec):
                self.problems += made
        return self._bases[path]

    def _collect(self, file: _OpenedFile, reader: Reader, fast_reader: FastReader | None = None) -> None:
        self.formats[file.records.display_name] = file.format or Format.NATIVE
        items: Iterable[Record | Problem | ParsedRecord] = file.head
        if len(file.head) == SAMPLE_SIZE:  # there may be more records
            items = file.records.records_or_runs(fast_reader) if fast_reader else file.records.records()
        for item in items:
            if isinstance(item, Problem):
                self.problems.append(item)
                continue
            made = item.run if isinstance(item, ParsedRecord) else reader(item, file.source)
            if isinstance(made, Run):
                self._add(made, item.location, file.format)
                if file.source.filled:
                    self.filled.setdefault(made.id.casefold(), file.source.filled)
            else:
                self.problems += made
            self._take_warnings(file.source, made)

    def _take_warnings(self, source: SourceFile, made: Run | list[Problem]) -> None:
        """Collect the warnings of the latest record of a file."""
        if source.warnings:
            self.warnings += source.warnings
            source.warnings.clear()
            if isinstance(made, Run):
                self.warned.add(made.id.casefold())

    def _add(self, run: Run, location: Location, format_: Format | None) -> None:
        folded = run.id.casefold()
        known = len(self.locations)
        first = self.locations.setdefault(run.id if folded == run.id else folded, location)
        if len(self.locations) > known:
            self.runs.append(run)
            return
        field = "" if format_ in _WITHOUT_ID else _FIELD_NAMES[format_ or Format.NATIVE].id
        self._repeated.append((len(self.problems), run.id))
        self.problems.append(location.problem(field, f"is already the id of {first}", "", run.id))

    def _suggest_ids(self) -> None:
        """Complete the problems of repeated ids: only when all ids are known is it clear which one is free."""
        taken, last = set(self.locations), defaultdict[str, int](lambda: 1)
        for place, id_ in self._repeated:
            free, last[id_.casefold()] = free_id(id_, taken, last[id_.casefold()] + 1)
            taken.add(free.casefold())
            remedy = f"give each run an id of its own, not by case alone: {free!r} is free"
            if not self.problems[place].field:
                remedy = f"it is made of the file's name: rename the file, for example to {free!r}"
            self.problems[place] = replace(self.problems[place], remedy=remedy)
        self._repeated.clear()


def _is_sweep(head: Sequence[Record | Problem]) -> bool:
    """Whether the only record of a file is a sweep."""
    record = head[0] if len(head) == 1 else None
    if not isinstance(record, Record) or record.number is not None:
        return False
    return is_sweep(record.value) and record.value.keys().isdisjoint({"prompt", "execution_config"})


def _size_warning(first: Location, format_: Format, count: int, own: str) -> Problem:
    """The warning about runs of a file that name no resolution and get the model's own."""
    default = _DEFAULT_SIZES[format_]
    also = f" (and in {count - 1:,} more of this file)" if count > 1 else ""
    message = f"is left out{also}: the model's own, {own}, is used in place of {format_.value}'s {default}"
    remedy = f"choose a model of {default} with --model, or name the resolution"
    return first.warning("resolution", message, remedy)


def _spec_missing(batch: _OpenedFile, specs: Sequence[_OpenedFile]) -> Problem:
    location = Location(batch.records.display_name)
    if specs:
        names = ", ".join(spec.records.display_name for spec in specs)
        remedy = f"name its spec {batch.spec_name}, or pass the two by themselves"
        return location.problem("", f"is a Transfer1 batch that may belong to any of {names}", remedy)
    remedy = f"pass its controlnet spec too, or put it beside the batch as {batch.spec_name}"
    return location.problem("", "is a Transfer1 batch without its controlnet spec", remedy)
