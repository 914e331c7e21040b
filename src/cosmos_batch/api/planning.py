"""Runs of sources and their plan, as objects for programs and notebooks. No model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

from cosmos_batch.api.sources import NO_OPTIONS, NO_SETTINGS, checked, engine_choice
from cosmos_batch.engines.inprocess.options import Options
from cosmos_batch.engines.registry import BuiltInEngines, Engines, Preview
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.run_like import RunSource
from cosmos_batch.html_table import html_table
from cosmos_batch.planning.plan import Launch, Plan, plan_to_dict
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.requests import Requests
from cosmos_batch.run import Run

SHOWN = 10  # runs that a notebook shows


@dataclass(frozen=True, slots=True)
class PlannedRuns:
    """A plan of runs, with its predictions."""

    plan: Plan
    warnings: tuple[Problem, ...]  # what of the input is taken as it is and is probably not meant

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The launches in the order of execution, each with its batches and its reason."""
        return self.plan.launches

    @property
    def seconds(self) -> float:
        """Predicted wall time on one device."""
        return self.plan.seconds

    @property
    def bytes(self) -> int:
        """Predicted peak of the device's memory."""
        return self.plan.bytes

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values, as `cosmos-batch plan --json` prints it."""
        return plan_to_dict(self.plan)

    def _repr_html_(self) -> str:
        """The launches as a table, for notebooks."""
        headings = ("launch", "runs", "controls", "batches of", "seconds", "why together")
        rows = (
            (
                launch.index + 1,
                len(launch.runs),
                " + ".join(launch.controls),
                ", ".join(dict.fromkeys(str(len(batch.runs)) for batch in launch.batches)),
                f"{launch.seconds:.1f}",
                launch.reason,
            )
            for launch in self.launches
        )
        alone = self.plan.one_by_one_seconds
        caption = f"{self.plan.engine}: about {self.seconds:.0f} s; one run at a time about {alone:.0f} s"
        return html_table(headings, rows, caption)


@dataclass(frozen=True, slots=True)
class ExpandedRuns(Sequence[Run]):
    """The runs of a sweep, a sequence, with their predicted time."""

    runs: tuple[Run, ...]
    warnings: tuple[Problem, ...]  # what of the input is taken as it is and is probably not meant
    seconds: float  # predicted wall time on one device

    @overload
    def __getitem__(self, place: int) -> Run: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Run, ...]: ...

    def __getitem__(self, place: int | slice) -> Run | tuple[Run, ...]:
        return self.runs[place]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def _repr_html_(self) -> str:
        """The first runs as a table, for notebooks."""
        rows = ((run.id, run.prompt[:200], " + ".join(run.signature)) for run in islice(self.runs, SHOWN))
        more = f", of which these are the first {SHOWN}" if len(self) > SHOWN else ""
        return html_table(
            ("run", "prompt", "controls"), rows, f"{len(self):,} runs, about {self.seconds:.0f} s{more}"
        )


def expand(
    runs: RunSource | Iterable[RunSource],
    *,
    model: str | None = None,
    engine: str | None = None,
    settings: Mapping[str, object] = NO_SETTINGS,
    engines: Engines | None = None,
) -> ExpandedRuns:
    """Expand sweeps, or read files and dicts, to their runs. The arguments are those of `run`.

    Raises InputError with all problems at once, PlanError and ModelError.
    """
    preview = (engines or BuiltInEngines()).preview(engine_choice(engine, model))
    requests = _valid(runs, preview, settings)
    return ExpandedRuns(requests.runs, requests.warnings, _plan(requests, preview).seconds)


def plan(
    runs: RunSource | Iterable[RunSource],
    *,
    model: str | None = None,
    engine: str | None = None,
    config: str | Path | None = None,
    options: Options = NO_OPTIONS,
    settings: Mapping[str, object] = NO_SETTINGS,
    engines: Engines | None = None,
) -> PlannedRuns:
    """Plan runs: launches, batches, predicted seconds and bytes. The arguments are those of `run`.

    Raises InputError with all problems at once, PlanError and ModelError.
    """
    preview = (engines or BuiltInEngines()).preview(engine_choice(engine, model, config, options))
    requests = _valid(runs, preview, settings)
    return PlannedRuns(_plan(requests, preview), requests.warnings)


def _valid(runs: RunSource | Iterable[RunSource], preview: Preview, settings: Mapping[str, object]) -> Requests:
    requests, _ = checked(runs, preview, settings)
    if requests.problems:
        raise InputError(requests.problems)
    return requests


def _plan(requests: Requests, preview: Preview) -> Plan:
    return plan_runs(requests.resolved(preview.traits), preview.traits, preview.prior, facts=requests.facts)
