"""Requests of traces: what a run of a trace asks for, as far as its time depends on it."""

from __future__ import annotations

from collections.abc import Mapping

from cosmos_batch.controls import ControlName
from cosmos_batch.errors import CosmosBatchError, Problem
from cosmos_batch.formats.problems import Location
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling

INPUT = VideoInfo(width=1280, height=720, frames=5000, fps=16.0)  # of the video that every run of a trace reads
VIDEO = "/trace/input.mp4"
FACTS: Mapping[str, VideoInfo] = {VIDEO: INPUT}


def request(
    controls: Mapping[ControlName, float], sampling: Sampling, priority: int, traits: Traits
) -> ResolvedRun:
    """Make the request of a run of a trace. Raises CosmosBatchError where the engine cannot make it."""
    run = Run(
        id="run",
        prompt="a run of a trace",
        controls=tuple(Control(name=name, weight=weight, video=VIDEO) for name, weight in controls.items()),
        video=VIDEO,
        sampling=sampling,
        priority=priority,
    )
    return resolve(run, traits, FACTS)


def problems_of(
    controls: Mapping[ControlName, float], sampling: Sampling, priority: int, traits: Traits, location: Location
) -> tuple[ResolvedRun | None, list[Problem]]:
    """Make a request; else say why the engine cannot make it."""
    try:
        run = request(controls, sampling, priority, traits)
    except CosmosBatchError as exc:
        return None, [location.problem("", str(exc).removeprefix("run run: "), "")]
    refused = refusals_by_run([run], traits, FACTS).get(run.id, ())
    found = [location.problem(each.field, each.message, each.remedy) for each in refused]
    return (None if found else run), found
