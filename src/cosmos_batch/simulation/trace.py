"""Traces: when runs arrive, what they ask for, and who submits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import ResolvedRun

Seconds = NDArray[np.float64]
Indices = NDArray[np.int32]


class Arrival(NamedTuple):
    """A run of a trace."""

    at: float  # seconds since the beginning of the trace
    run: ResolvedRun
    owner: str = ""  # who submits it
    breaks_at: int | None = None  # the denoising step after which it crashes its worker; None: it does not


@dataclass(frozen=True, slots=True)
class Trace:
    """Runs in the order of their arrival, in columns, since there may be a million of them."""

    templates: tuple[ResolvedRun, ...]  # the runs' requests: equal ones, but for the id, once
    at: Seconds  # when each run arrives, since the beginning
    template: Indices  # the request of each run
    owners: tuple[str, ...] = ("",)
    owner: Indices | None = None  # who submits each run; None: the first owner all of them
    breaks_at: Mapping[int, int] = field(default_factory=dict)  # steps after which runs crash workers, by place
    facts: Mapping[str, VideoInfo] = field(default_factory=dict)  # of the runs' videos, by path

    def __len__(self) -> int:
        return len(self.at)

    @property
    def priorities(self) -> NDArray[np.int64]:
        """The priority of each run."""
        return np.array([run.priority for run in self.templates], np.int64)[self.template]


def trace_of(arrivals: Iterable[Arrival], facts: Mapping[str, VideoInfo] | None = None) -> Trace:
    """Make a trace of runs in any order."""
    ordered = sorted(arrivals, key=lambda arrival: arrival.at)
    templates: dict[ResolvedRun, int] = {}
    owners: dict[str, int] = {}
    template = [templates.setdefault(replace(each.run, id="run"), len(templates)) for each in ordered]
    owner = [owners.setdefault(each.owner, len(owners)) for each in ordered]
    return Trace(
        templates=tuple(templates),
        at=np.array([each.at for each in ordered], np.float64),
        template=np.array(template, np.int32),
        owners=tuple(owners) or ("",),
        owner=np.array(owner, np.int32),
        breaks_at={place: each.breaks_at for place, each in enumerate(ordered) if each.breaks_at is not None},
        facts=facts or {},
    )
