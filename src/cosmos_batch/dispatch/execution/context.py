"""Dispatch context: the ledger, the output folder and the settings that dispatching works with."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.dispatch.execution.failure_streak import FailureStreak
from cosmos_batch.dispatch.execution.leases import Leases
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.inputs import InputDigests, InputMeasures
from cosmos_batch.dispatch.output.kept_video import as_published, published_tries, unscored
from cosmos_batch.dispatch.output.provenance import Identity, VideoSizes, check_published, request_key
from cosmos_batch.dispatch.settings import DispatchSettings, EventSink
from cosmos_batch.engines.base import Job
from cosmos_batch.errors import OutputError
from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.media.info import InputFile
from cosmos_batch.planning.resolve import leading_facts
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import ResolvedRun
from cosmos_batch.scoring.scorers import Scorers


class CheckOutput(Protocol):
    """Opens a run's output and raises OutputError where it is not the video that was asked for."""

    def __call__(self, run: ResolvedRun, shape: Shape, job: Job) -> None: ...


def check_thread() -> Executor:
    """Return a thread to open outputs in."""
    return ThreadPoolExecutor(1, "checks")


@dataclass(frozen=True, slots=True)
class DispatchContext:
    """The ledger, the output folder and the settings that dispatching works with."""

    folder: OutputDirectory
    ledger: DispatchStore
    identity: Identity  # of the engine
    costed_as: tuple[str, str]  # engine and device, as the cost model names them
    facts: Mapping[str, VideoInfo]  # of the videos of the runs, as they are planned, by path
    traits: Traits  # of the engine
    check: CheckOutput
    checks: Executor  # where outputs are opened while other runs are denoised
    settings: DispatchSettings
    events: EventSink
    clock: Callable[[], float] = time.time
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    leases: Leases = field(default_factory=Leases)
    counters: Counters = field(default_factory=Counters)
    digest: InputDigests = field(default_factory=InputDigests)
    measures: InputMeasures = field(default_factory=InputMeasures)
    scorers: Scorers = field(default_factory=Scorers)
    streak: FailureStreak = field(default_factory=FailureStreak)

    def shape(self, run: ResolvedRun) -> Shape:
        """What a run's output must measure."""
        return self.traits.finished(run, leading_facts(run, self.facts))

    def sizes(self, run: ResolvedRun, inputs: tuple[InputFile, ...]) -> VideoSizes:
        """Sizes of a run's videos, for its record. Any thread may call it."""
        found = {file.path: self.measures.measure(file, self.facts.get(file.path)) for file in inputs}
        network = self.traits.shape(run, leading_facts(run, self.facts))
        return VideoSizes(
            inputs=found,
            input=leading_facts(run, {path: info for path, info in found.items() if info}),
            network=_moving(network, run),
            output=_moving(self.shape(run), run),
        )


def _moving(shape: Shape, run: ResolvedRun) -> VideoInfo:
    return VideoInfo(shape.width, shape.height, shape.frames, run.sampling.fps)


class OutputContext(Protocol):
    """What published outputs are compared by."""

    @property
    def folder(self) -> OutputDirectory:
        """Where they are."""

    @property
    def identity(self) -> Identity:
        """Of the engine."""

    @property
    def digest(self) -> InputDigests:
        """Digests of input files."""


def output_flaw(run: ResolvedRun, context: OutputContext) -> str:
    """Return what is wrong with a run's published output; "" where it answers the run's request.

    Raises OSError where an input cannot be read.
    """
    published = context.folder.published(run.id)
    if not published.exists():
        return f"{published} is missing"
    try:
        check_published(published, request_key(as_published(run, published), context.identity, context.digest))
    except OutputError as exc:
        return str(exc)
    if missing := unscored(run, published):
        return f"its video was not scored yet: {', '.join(missing)}"
    tries = published_tries(run, published)
    return f"{tries.verdict}; it is made again" if tries and not tries.settled else ""
