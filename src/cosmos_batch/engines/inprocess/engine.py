"""The in-process engine: runs join a batch at any denoising step, and every one leaves with its own video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from traceback import clear_frames

import torch

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result, model_key
from cosmos_batch.engines.inprocess.calibration import calibrate, probes
from cosmos_batch.engines.inprocess.guardrail import check_prompts
from cosmos_batch.engines.inprocess.io.input_videos import read_videos
from cosmos_batch.engines.inprocess.io.output_writer import OutputWriter
from cosmos_batch.engines.inprocess.io.prefetch import VideoPrefetcher
from cosmos_batch.engines.inprocess.model import Model
from cosmos_batch.engines.inprocess.pre_encode import PreEncoder
from cosmos_batch.engines.inprocess.request import RunState
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.unipc import SolverState
from cosmos_batch.errors import CosmosBatchError, OutOfMemoryError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun


@contextmanager
def _memory_errors(model: Model) -> Iterator[None]:
    """Map the device's out-of-memory error to ours, with as much of its memory free as can be for another try."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        clear_frames(exc.__traceback__)  # what the work had made so far would stay as long as the error does
        model.forget()
        raise OutOfMemoryError(str(exc).split("\n", maxsplit=1)[0]) from exc


@dataclass(frozen=True, slots=True)
class _Denoised:
    """A run whose output is being written, as it was before its last chunk was decoded: so it may be saved."""

    task: RunState
    memory: SolverState
    step: int


class TransferSession:
    """A launched in-process engine; see `engines.base.Session`."""

    def __init__(self, model: Model, cache: ControlCache, identity: Mapping[str, str]) -> None:
        self._model = model
        self._prefetch = VideoPrefetcher(lambda run: read_videos(run, cache))
        self._ahead = PreEncoder(model, self._prefetch)
        self._identity = identity
        self._tasks: dict[str, RunState] = {}  # of the runs that are denoised
        self._denoised: dict[str, _Denoised] = {}
        self._batches: dict[tuple[int, int], DenoisingBatch] = {}
        self._passes = model.network.passes()
        self._clerk = OutputWriter(model.guardrail)

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return (*self._denoised, *self._tasks)

    @property
    def finishing(self) -> tuple[str, ...]:
        """Those of them that need nothing of the device any more, while their files are written."""
        return tuple(self._denoised)

    def switch_launch(self, launch: Launch) -> None:
        """Load the branches of another launch's controls, and free all others, when nobody is denoised."""
        with _memory_errors(self._model):
            self._model.keep_only(launch.controls)
        self._passes = self._model.network.passes()

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """These runs join next, and no others: read their videos meanwhile; where it is `certain`, encode them."""
        self._prefetch.set_expected(runs)
        self._ahead.may = certain

    def join(self, job: Job) -> list[Event]:
        """Take a run in, at its own first (or saved) step. A run that cannot start ends at once."""
        with _memory_errors(self._model):
            return self._ended_by_error(job.run.id, lambda: self._start(job))

    def advance(self) -> Iterator[Event]:
        """Take every active run one step further. Raises OutOfMemoryError, with every run as before the step.

        Where there is nothing but runs to be finished, it waits for the first of them.
        """
        if self._denoised and not self._batches:
            self._clerk.wait_for_first()
        yield from self._written()
        for batch in list(self._batches.values()):
            yield from self._finish_done(batch)  # those that ran out of memory when they were last decoded
            if not batch.keys:
                continue
            with _memory_errors(self._model):
                self._model.within_memory(batch.step)
            self._ahead.part()
            for run_id in batch.keys:
                yield self._progress(run_id, batch)
            yield from self._finish_done(batch)

    def save(self, run_id: str) -> None:
        """Write the run's state to its job's state file, atomically."""
        denoised = self._denoised.get(run_id)
        if denoised is not None:
            denoised.task.save(denoised.memory, denoised.step)
            return
        task = self._tasks[run_id]
        memory, step = self._batches[task.size].state(run_id)
        task.save(memory, step)

    def leave(self, run_id: str) -> None:
        """Take the run out; nothing is written for it any more. Its state is what was last saved."""
        if self._denoised.pop(run_id, None) is None:
            self._leave_batch(self._tasks.pop(run_id))
        self._clerk.settle(run_id)

    def close(self) -> None:
        """Free what the session holds; the model stays loaded for the next launch."""
        self._prefetch.close()
        self._clerk.close()
        self._tasks.clear()
        self._denoised.clear()
        self._batches.clear()

    def _leave_batch(self, task: RunState) -> None:
        run_id, batch = task.job.run.id, self._batches.get(task.size)
        if batch is None:
            return
        if run_id in batch.keys:
            batch.leave(run_id)
        if not batch.keys:
            del self._batches[task.size]

    def _written(self) -> Iterator[Event]:
        """The results of those whose files are written. Raises StorageError, and the run stays as it is."""
        for run_id in self._clerk.over():
            result = self._clerk.result(run_id)
            self.leave(run_id)
            yield result

    def _ended_by_error(self, run_id: str, work: Callable[[], Result | None]) -> list[Event]:
        """What comes of some work; an error of this run alone becomes its result, and the run leaves."""
        try:
            result = work()
        except (OutOfMemoryError, StorageError):  # no run's fault: whoever drives the session decides
            raise
        except CosmosBatchError as exc:
            if run_id in self._tasks:
                self.leave(run_id)
            result = Result(run_id, Outcome.FAILED, str(exc))
        return [] if result is None else [result]

    def _finish_done(self, batch: DenoisingBatch) -> Iterator[Event]:
        done = [run_id for run_id in batch.keys if batch.done(run_id)]
        if done:  # the host may wait now, for the device or for files
            self._ahead.all()
        for run_id in done:
            yield from self._ended_by_error(run_id, partial(self._chunk_done, run_id))
            yield from self._written()

    def _start(self, job: Job) -> Result | None:
        run = job.run
        refused = check_prompts(self._model.guardrail, run.prompt, run.sampling.negative_prompt)
        if refused is not None:
            return Result(run.id, Outcome.BLOCKED, refused)
        owner = " ".join((run.fingerprint, *model_key(run, self._identity)))
        task = RunState.prepare(job, self._model, self._prefetch.take(run), owner)
        resumed = task.resume()
        conditioning = task.conditioning()
        memory, step = resumed or (task.start(conditioning), 0)
        batch = self._batches.get(task.size) or DenoisingBatch(self._passes, step_caching=self._model.step_caching)
        batch.join(job.run.id, conditioning, memory, step)
        self._batches[task.size] = batch
        self._tasks[job.run.id] = task
        self._clerk.take_controls(job, task.videos.controls)
        if batch.done(job.run.id):  # saved between a chunk's last step and its decoding
            self._chunk_done(job.run.id)
        return None

    def _progress(self, run_id: str, batch: DenoisingBatch) -> Progress:
        task = self._tasks[run_id]
        return Progress(run_id, task.chunk * task.steps + batch.steps_done(run_id), task.total_steps)

    def _chunk_done(self, run_id: str) -> None:
        before = self._tasks[run_id]
        batch = self._batches[before.size]
        memory, step = batch.state(run_id)
        if before.at_last_chunk:
            self._clerk.make_room()
            with _memory_errors(self._model):
                frames = before.output(memory.sample)
            self._clerk.take_output(before.job, frames)
            self._leave_batch(self._tasks.pop(run_id))
            self._denoised[run_id] = _Denoised(before, memory, step)
            return
        with _memory_errors(self._model):
            task = before.copy()
            task.finish_chunk(memory.sample)
            conditioning = task.conditioning()
            start = task.start(conditioning)
        self._tasks[run_id] = task
        batch.leave(run_id)
        batch.join(run_id, conditioning, start)


class TransferEngine:
    """Cosmos Transfer2.5's architecture in this process, with whatever weights the model holds."""

    def __init__(self, model: Model, traits: Traits, cache: ControlCache, identity: Mapping[str, str]) -> None:
        self._model = model
        self._traits = traits
        self._cache = cache
        self._identity = dict(identity)

    @property
    def traits(self) -> Traits:
        """What it needs equal and what it can do."""
        return self._traits

    @property
    def identity(self) -> Mapping[str, str]:
        """What made a video, for its record: engine, model, digest of the weights, versions."""
        return self._identity

    @property
    def model(self) -> Model:
        """What it makes videos with."""
        return self._model

    @property
    def loaded(self) -> tuple[str, ...]:
        """The control branches that are in memory."""
        return self._model.network.loaded

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the device that are free now or this process's already; None: not on a GPU."""
        return self._model.memory_bytes

    def calibrated(
        self,
        prior: CostModel,
        *,
        seconds: float,
        write: Callable[[Frames], None],
        say: Callable[[str], None],
    ) -> CostModel:
        """The prior with coefficients as they are measured now, on this machine; see `calibration.calibrate`."""
        model, settings = self._model, self._model.settings
        sizes = {size for by_aspect in settings.sizes.values() for size in by_aspect.values()}
        with _memory_errors(model):
            model.keep_only(model.controls)
            wanted = probes(sizes, settings.chunk_frames, len(model.controls))
            return calibrate(model, prior, wanted, seconds=seconds, write=write, say=say)

    def open(self, launch: Launch) -> TransferSession:
        """Start on a launch: load the branches of its controls, and free all others."""
        with _memory_errors(self._model):
            self._model.keep_only(launch.controls)
        return TransferSession(self._model, self._cache, self._identity)
