"""Executes runs as `cosmos-batch run` does, in this process, with the time of every part."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.gpu.timing import BatchTime, Stopwatch, TimedEngine
from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.settings import StopToken
from cosmos_batch.engines.base import Loaded
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.families import published_of
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.options import Options
from cosmos_batch.engines.registry import cache_folder
from cosmos_batch.ledger import State
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.requests import Requests, gather


@dataclass(frozen=True)
class CommandTimes:
    """Times and frames of a command."""

    seconds: float  # from the runs as read until the last output is verified and published
    batches: list[BatchTime]
    frames: Mapping[str, Frames]  # by run, before compression

    @property
    def step(self) -> float:
        """Seconds of one denoising step, summed over the batches."""
        return sum(batch.step for batch in self.batches)

    @property
    def beside(self) -> float:
        """Seconds without the steps, of which each is counted as the median of its batch."""
        return self.seconds - sum(len(batch.steps) * batch.step for batch in self.batches)

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of the parts of `beside`. While it waits, the device has no work."""
        batches = self.batches
        steps = sum(len(batch.steps) * batch.step for batch in batches)
        known = {
            "joining": sum(batch.joining for batch in batches),
            "first steps": sum(sum(batch.steps) for batch in batches) - steps,
            "finishing": sum(batch.finishing for batch in batches),
        }
        return known | {"waiting": self.beside - sum(known.values())}


class CommandRunner:
    """Executes files of runs with the in-process engine and the dispatcher."""

    def __init__(
        self,
        model: Path,
        controls: Path,
        device: torch.device,
        options: Options | None = None,
        branches: Sequence[str] = TRANSFER_CONTROLS,
    ) -> None:
        """`controls`: the folder for control videos that are made from input videos; `branches`: of the model."""
        self.device = device
        self._profile = published_of(model).profile
        self._guardrail = RecordingGuardrail()
        self._engine: InProcessEngine = load_engine(
            str(model),
            branches,
            ControlCache(controls),
            device=device,
            guardrail=self._guardrail,
            kept=cache_folder(),
            options=options,
        )

    def requests(self, file: Path) -> Requests:
        """Read the runs of a file as the command line does."""
        requests = gather([file], self._engine.traits)
        assert not requests.problems, requests.problems
        return requests

    def make(self, requests: Requests, out: Path) -> CommandTimes:
        """Execute the runs into a folder that is emptied before. Raises AssertionError unless all succeed."""
        shutil.rmtree(out, ignore_errors=True)
        self._guardrail.videos.clear()
        watch = Stopwatch(self.device)
        begin = time.perf_counter()
        runs = requests.resolved(self._engine.traits)
        command = Command(runs, Loaded(TimedEngine(self._engine, watch), self.prior()), requests.facts)
        with OutputDirectory(out) as folder:
            statuses = execute(command, folder, watch, StopToken())
        seconds = time.perf_counter() - begin
        assert all(status.state is State.SUCCEEDED for status in statuses), (statuses, watch.notes)
        return CommandTimes(seconds, watch.batches(), dict(zip(watch.order, self._guardrail.videos, strict=True)))

    def prior(self) -> CostModel:
        """The shipped cost of the model, with the memory of this device."""
        return replace(self._profile.on("h100"), memory_bytes=self._engine.memory_bytes)
