"""Reads a trace from JSON lines, one run a line, with every problem at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from cosmos_batch.controls import ControlName
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.common import StrictModel
from cosmos_batch.formats.native import PriorityValue
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import validate
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import FrameCount, Guidance, Priority, Resolution, ResolvedRun, Sampling, Steps, Weight
from cosmos_batch.simulation.requests import FACTS, problems_of
from cosmos_batch.simulation.trace import Arrival, Trace, trace_of

Moment = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, description="seconds since the beginning")]


def _with_weights(value: object) -> object:
    """Controls that are given without weights with a weight of 1."""
    return (
        dict.fromkeys(value, 1.0) if isinstance(value, list) and all(isinstance(n, str) for n in value) else value
    )


class TraceLine(StrictModel):
    """A run of a trace."""

    at: Moment  # when it arrives
    controls: Annotated[dict[ControlName, Weight], BeforeValidator(_with_weights)]  # or a list: of weight 1
    num_steps: Steps | None = None
    guidance: Guidance | None = None
    resolution: Resolution | None = None
    num_frames: FrameCount | None = None
    negative_prompt: str | None = None
    priority: PriorityValue = Priority.NORMAL
    owner: str = ""  # who submits it
    breaks_at: Annotated[int, Field(ge=1)] | None = None  # the denoising step after which it crashes its worker
    id: str = ""  # for people; it is not used


def read_trace(path: Path, traits: Traits) -> Trace:
    """Read a trace. Raises InputError with every problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise InputError([Problem(str(path), None, "", "", f"cannot be read: {reason}", "name a trace")]) from exc
    reader = _Reader(str(path), traits)
    arrivals = list(reader.read(enumerate(text.splitlines(), 1)))
    if not arrivals and not reader.problems:
        reader.problems.append(Problem(str(path), None, "", "", "holds no run", "give one run a line"))
    if reader.problems:
        raise InputError(reader.problems)
    return trace_of(arrivals, FACTS)


class _Reader:
    """Reads lines; equal requests are resolved once."""

    def __init__(self, file: str, traits: Traits) -> None:
        self._file = file
        self._traits = traits
        self._known: dict[str, ResolvedRun] = {}
        self.problems: list[Problem] = []

    def read(self, lines: Iterable[tuple[int, str]]) -> Iterable[Arrival]:
        """Yield the runs of the lines; collect the problems."""
        for number, line in lines:
            if line.strip():
                arrival = self._arrival(Location(self._file, number), line)
                if arrival is not None:
                    yield arrival

    def _arrival(self, location: Location, text: str) -> Arrival | None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as exc:
            self.problems.append(location.problem("", f"is no JSON: {exc}", "give an object a line"))
            return None
        if not isinstance(value, dict):
            self.problems.append(location.problem("", "is not an object", "give an object a line", value))
            return None
        line, problems = validate(TraceLine, value, location)
        self.problems += problems
        if line is None or problems:
            return None
        run = self._request(line, location)
        return None if run is None else Arrival(line.at, run, line.owner, line.breaks_at)

    def _request(self, line: TraceLine, location: Location) -> ResolvedRun | None:
        key = line.model_dump_json(exclude={"at", "owner", "breaks_at", "id"})
        known = self._known.get(key)
        if known is not None:
            return known
        if not any(line.controls.values()):
            self.problems.append(location.problem("controls", "has no active control", "name one at least"))
            return None
        sampling = Sampling(
            num_steps=line.num_steps,
            guidance=line.guidance,
            resolution=line.resolution,
            num_frames=93 if line.num_frames is None else line.num_frames,
            negative_prompt=line.negative_prompt,
        )
        run, problems = problems_of(line.controls, sampling, line.priority, self._traits, location)
        self.problems += problems
        if run is not None:
            self._known[key] = run
        return run
