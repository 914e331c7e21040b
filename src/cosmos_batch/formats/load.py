"""The front door of reading: files in, runs and problems out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats import cosmos3, native, transfer1, transfer25
from cosmos_batch.formats.detect import SAMPLE_SIZE, Format, format_of
from cosmos_batch.formats.input_files import Faults, Locator, exists
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.formats.records import ParsedRecord, Record, RecordFile, Shortcut
from cosmos_batch.formats.run_builder import Pool, Source, stem_of
from cosmos_batch.formats.transfer1 import Base
from cosmos_batch.run import Run

Reader = Callable[[Record, Source], Run | list[Problem]]

_ID_FIELDS = {
    Format.NATIVE: "id",
    Format.TRANSFER25: "name",
    Format.COSMOS3: "name",
    Format.SPEC: "",
    Format.SAMPLES: "",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What files held: the good runs in the order of the files, and every problem."""

    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    _places: Mapping[str, Location]  # by the id that file systems may take a run's for

    def place_of(self, run: Run) -> Location:
        """Where one of the runs stands, for problems that are found later."""
        return self._places[run.id.casefold()]


def read_files(paths: Sequence[Path | str], *, check_inputs: bool = True) -> Reading:
    """Read runs out of files of any known format, told by their content.

    Bad content never raises: each bad line gives its problems, and the other lines their runs. With
    `check_inputs`, an input file that is missing, empty or no file is a problem of each run that uses it.
    """
    session = _Session({} if check_inputs else None)
    session.read([Path(path) for path in paths])
    return Reading(tuple(session.runs), tuple(session.problems), session.places)


def run_from_dict(record: Mapping[str, object], *, base: Path | None = None, check_inputs: bool = False) -> Run:
    """The run of a native record; relative paths start from `base`, or from the working directory.

    A record without an id gets one made of what shapes its video. Raises InputError with all its problems.
    Looks at no file unless `check_inputs` is set.
    """
    locator = Locator((base or Path()).absolute(), faults={} if check_inputs else None)
    made = native.read(Record(Location(), None, dict(record)), Source("run", locator, Pool()))
    if not isinstance(made, Run):
        raise InputError(made)
    return made if record.get("id") is not None else replace(made, id=f"run-{made.fingerprint[:12]}")


@dataclass(slots=True)
class _Opened:
    """A file whose format is known."""

    file: RecordFile
    format: Format | None
    source: Source
    head: list[Record | Problem]  # its first records

    @property
    def spec_name(self) -> str:
        """What the spec of a Transfer1 batch is called that stands beside it."""
        return f"{self.file.path.stem}_spec.json"

    @property
    def is_prompts(self) -> bool:
        """Whether it holds prompts alone, which is a Transfer1 batch wherever a spec goes with it."""
        records = [record for record in self.head if isinstance(record, Record)]
        return bool(records) and all(record.value.keys() == {"prompt"} for record in records)


class _Session:
    """One call of `read_files`."""

    def __init__(self, faults: Faults | None) -> None:
        self.runs: list[Run] = []
        self.problems: list[Problem] = []
        self._faults = faults
        self._pool = Pool()
        self.places: dict[str, Location] = {}  # of every run, by the id that file systems may take it for
        self._bases: dict[Path, Base | None] = {}

    def read(self, paths: Sequence[Path]) -> None:
        opened = [self._open(path) for path in self._once_each(paths)]
        specs = [one for one in opened if one.format is Format.SPEC and len(one.head) == 1]
        partners = {id(one): self._partner(one, specs) for one in opened}
        used = {id(partner) for partner in partners.values() if partner}
        for one in opened:
            if id(one) not in used:
                self._read_one(one, partners[id(one)], specs)

    def _once_each(self, paths: Sequence[Path]) -> Iterator[Path]:
        seen = set()
        for path in paths:
            if path.absolute() in seen:
                remedy = "name each file once"
                self.problems.append(Location(printable(str(path))).problem("", "is named twice", remedy))
            else:
                seen.add(path.absolute())
                yield path

    def _open(self, path: Path) -> _Opened:
        file = RecordFile(path, printable(str(path)))
        head = list(islice(file.records(), SAMPLE_SIZE))
        shape = format_of(record.value for record in head if isinstance(record, Record))
        folder = path.absolute().parent
        # NVIDIA's Transfer1 starts from the working directory; the other formats from the file's folder.
        also = Path.cwd() if shape in (Format.SPEC, Format.SAMPLES) else None
        locator = Locator(folder, None if also == folder else also, self._faults)
        return _Opened(file, shape, Source(stem_of(path.stem), locator, self._pool), head)

    def _partner(self, batch: _Opened, specs: Sequence[_Opened]) -> _Opened | None:
        """The spec that a Transfer1 batch is based on: by its name, as the only one, or beside it."""
        if not (batch.format is Format.SAMPLES or batch.is_prompts):
            return None
        named = [spec for spec in specs if spec.file.path.name == batch.spec_name]
        candidates = named or specs
        if len(candidates) == 1:
            return candidates[0]
        beside = batch.file.path.with_name(batch.spec_name)
        return self._open(beside) if exists(beside) else None

    def _read_one(self, one: _Opened, partner: _Opened | None, specs: Sequence[_Opened]) -> None:
        match one.format:
            case Format.SPEC:
                self._collect(one, transfer1.read_spec)
            case Format.TRANSFER25:
                self._collect(one, transfer25.read)
            case Format.COSMOS3:
                self._collect(one, cosmos3.read)
            case Format.NATIVE:
                self._collect(one, native.read, lambda raw, place: native.read_fast(raw, place, one.source))
            case Format.SAMPLES | None if partner:
                self._read_batch(one, partner)
            case Format.SAMPLES:
                self.problems.append(_unpaired(one, specs))
            case None:
                self._collect(one, native.read)

    def _read_batch(self, batch: _Opened, spec: _Opened) -> None:
        base = self._base(spec)
        if base is None:
            place = Location(batch.file.shown)
            self.problems.append(
                place.problem("", f"cannot be read without its spec {spec.file.shown}", "mend the spec")
            )
            return
        batch.format = Format.SAMPLES
        self._collect(batch, lambda record, source: transfer1.read_sample(record, source, base))

    def _base(self, spec: _Opened) -> Base | None:
        """The spec as a base; its problems are reported once, however many batches share it."""
        path = spec.file.path.absolute()
        if path not in self._bases:
            record = spec.head[0]
            made = transfer1.read_base(record, spec.source) if isinstance(record, Record) else [record]
            self._bases[path] = made if isinstance(made, Base) else None
            if not isinstance(made, Base):
                self.problems += made
        return self._bases[path]

    def _collect(self, one: _Opened, reader: Reader, shortcut: Shortcut | None = None) -> None:
        items: Iterable[Record | Problem | ParsedRecord] = one.head
        if len(one.head) == SAMPLE_SIZE:  # there may be more of it
            items = one.file.records_or_runs(shortcut) if shortcut else one.file.records()
        for item in items:
            if isinstance(item, Problem):
                self.problems.append(item)
                continue
            made = item.run if isinstance(item, ParsedRecord) else reader(item, one.source)
            if isinstance(made, Run):
                self._add(made, item.place, one.format)
            else:
                self.problems += made

    def _add(self, run: Run, place: Location, shape: Format | None) -> None:
        first = self.places.setdefault(run.id.casefold(), place)
        if first is place:
            self.runs.append(run)
            return
        remedy = "give each run an id of its own, not by case alone; a run without one is named after its file"
        field = _ID_FIELDS.get(shape or Format.NATIVE, "")
        self.problems.append(place.problem(field, f"is already the id of {first}", remedy, run.id))


def _unpaired(batch: _Opened, specs: Sequence[_Opened]) -> Problem:
    place = Location(batch.file.shown)
    if specs:
        names = ", ".join(spec.file.shown for spec in specs)
        remedy = f"name its spec {batch.spec_name}, or pass the two by themselves"
        return place.problem("", f"is a Transfer1 batch that may belong to any of {names}", remedy)
    remedy = f"pass its controlnet spec too, or put it beside the batch as {batch.spec_name}"
    return place.problem("", "is a Transfer1 batch without its controlnet spec", remedy)
