"""Arguments of the functions for Python programs: sources of runs, and the choice of an engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from cosmos_batch.engines.inprocess.options import Options
from cosmos_batch.engines.registry import EngineChoice, Preview
from cosmos_batch.errors import Problem
from cosmos_batch.formats.run_like import RunSource, read_sources
from cosmos_batch.formats.sweep.overrides import overrides_of
from cosmos_batch.requests import Requests, examine

NO_SETTINGS: Mapping[str, object] = {}
NO_OPTIONS = Options()


def engine_choice(
    engine: str | None, model: str | None, config: str | Path | None = None, options: Options = NO_OPTIONS
) -> EngineChoice:
    """The engine that arguments choose, as the options of the command line do."""
    return EngineChoice(engine, model, None if config is None else Path(config), options)


def checked(
    runs: RunSource | Iterable[RunSource], preview: Preview, settings: Mapping[str, object]
) -> tuple[Requests, Mapping[str, tuple[Problem, ...]]]:
    """Read and check runs; returns them with every problem, and the warnings about the record of each, by id.

    Raises InputError for `settings` that are none.
    """
    overrides = overrides_of(settings)
    reading = read_sources(runs).with_rules(overrides)
    requests = examine(reading, preview.traits, preview.problems, settings=overrides.sampling)
    by_place: dict[tuple[str, int | None], list[Problem]] = defaultdict(list)
    for warning in requests.warnings:
        by_place[warning.file, warning.line].append(warning)
    found = {}
    for run in requests.runs if by_place else ():
        location = reading.location_of(run)
        if warnings := by_place.get((location.file, location.line)):
            found[run.id] = tuple(warnings)
    return requests, found
