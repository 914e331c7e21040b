"""Reads a sweep file: its runs, and all its problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.json_text import MalformedJsonError
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.run_builder import SourceFile, stem_of
from cosmos_batch.formats.sweep.axes import AxisReader
from cosmos_batch.formats.sweep.document import Document, read_document
from cosmos_batch.formats.sweep.expand import Expansion
from cosmos_batch.formats.sweep.report import Report
from cosmos_batch.formats.validate import FieldNames
from cosmos_batch.run import Run

_ORDER = (
    "sweep",
    "id",
    "rows",
    "videos",
    "prompts",
    "instructions",
    "seeds",
    "controls",
    "settings",
    "inputs",
    "combine",
    "include",
    "exclude",
    "tags",
    "metadata",
    "priority",
    "job_type",
    "accept",
    "attempts",
    "seed_step",
)
KEYS = frozenset(_ORDER)
"""The keys of a sweep."""
_MARKS = frozenset({"videos", "prompts", "seeds", "rows", "controls", "combine", "include", "exclude"})
_MAX_BYTES = 64 * 2**20

NAMES = FieldNames(
    video="videos",
    weights=("controls",),
    control_video="controls.{}.video",
    guided_mask="inputs.guided_generation_mask",
    keep_input_resolution="settings.keep_input_resolution",
    settings="settings.{}",
)


def is_sweep(value: Mapping[str, object]) -> bool:
    """Whether an object is a sweep, and no run: it has a key that only sweeps have."""
    return not _MARKS.isdisjoint(value)


def read_sweep(raw: bytes, file: str, source: SourceFile) -> Iterator[Run | Problem]:
    """Yield the runs of a sweep, then its problems. `file`: its name in problems."""
    location = Location(file)
    if len(raw) > _MAX_BYTES:
        yield location.problem("", f"has {len(raw):,} bytes", "put prompts and videos into a text file or table")
        return
    try:
        document = read_document(raw)
    except MalformedJsonError as error:
        where = f" at line {error.row}, column {error.column}" if error.row else ""
        yield location.problem("", error.message + where, error.remedy)
        return
    report = Report(file, document)
    given = document.value
    if isinstance(given, dict) and is_sweep(given):
        yield from _runs(given, report, source)
    elif given is None:
        report.add("", "is empty", "say what varies: videos, prompts, seeds, controls, settings or rows")
    else:
        remedy = "convert it to JSON; or, for a sweep, say what varies: videos, prompts, seeds, controls or rows"
        report.add("", "looks like YAML", remedy)
    yield from report.problems


def videos_of_sweep(document: Document, file: str, paths: PathResolver) -> tuple[list[str], list[Problem]]:
    """The videos that a sweep names, each once, and the problems of those parts. `file`: its name in problems."""
    report = Report(file, document)
    parts = document.value if isinstance(document.value, dict) else {}
    report.unknown_keys(parts, _ORDER)
    axes = AxisReader(report, paths).read({name: parts[name] for name in ("rows", "videos") if name in parts})
    found = (choice.fields.get("inputs.video") for axis in axes for choice in axis.choices)
    videos = dict.fromkeys(paths.resolve(video) for video in found if isinstance(video, str))
    return list(videos), list(report.problems)


def _runs(given: Mapping[str, object], report: Report, source: SourceFile) -> Iterator[Run]:
    report.unknown_keys(given, _ORDER)
    name = given.get("sweep", stem_of(source.stem))
    if not isinstance(given.get("inputs", {}), dict):
        report.add("inputs", "is not an object", "give paths by name, with placeholders", given["inputs"])
    axes = AxisReader(report, source.paths).read(given)
    expansion = Expansion(given, axes, report, source, str(name))
    expansion.check_choices()
    yield from expansion.runs()
