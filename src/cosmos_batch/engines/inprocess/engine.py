"""The in-process engine: runs join and leave a batch at any denoising step, and each gets its own video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from traceback import clear_frames

import torch

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result, model_key
from cosmos_batch.engines.inprocess.calibration import Probe, calibrate, probes, use_once
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
from cosmos_batch.run import ResolvedRun, with_paths


@contextmanager
def _memory_errors(model: Model) -> Iterator[None]:
    """Map the device's out-of-memory error to ours, and free memory for another attempt."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        clear_frames(exc.__traceback__)  # its tensors would stay in memory as long as the error
        model.forget()
        raise OutOfMemoryError(str(exc).split("\n", maxsplit=1)[0]) from exc


@dataclass(frozen=True, slots=True)
class _FinishingRun:
    """A run whose output is being written, in the state before its last chunk was decoded, which may be saved."""

    run: RunState
    solver: SolverState
    step: int


class InProcessSession:
    """A launched in-process engine; see `engines.base.Session`."""

    def __init__(self, model: Model, cache: ControlCache, identity: Mapping[str, str]) -> None:
        self._model = model
        self._prefetch = VideoPrefetcher(lambda run: read_videos(run, cache))
        self._pre_encoder = PreEncoder(model, self._prefetch)
        self._identity = identity
        self._runs: dict[str, RunState] = {}  # being denoised
        self._finishing: dict[str, _FinishingRun] = {}
        self._batches: dict[tuple[int, int, int], DenoisingBatch] = {}
        self._passes = model.network.passes()
        self._writer = OutputWriter(model.guardrail)

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return (*self._finishing, *self._runs)

    @property
    def finishing(self) -> tuple[str, ...]:
        """Ids of active runs that do not need the device any more: their files are being written."""
        return tuple(self._finishing)

    def switch_launch(self, launch: Launch) -> None:
        """Load the branches of another launch's controls and free all others. No run may be denoised."""
        with _memory_errors(self._model):
            self._model.keep_only(launch.controls)
        self._passes = self._model.network.passes()

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Read the videos of the runs that join next; where that is `certain`, encode them, too."""
        self._prefetch.set_expected(runs)
        self._pre_encoder.enable(certain)

    def join(self, job: Job) -> list[Event]:
        """Add a run, at its first or saved step. A run that cannot start ends at once."""
        with _memory_errors(self._model):
            return self._ended_by_error(job.run.id, lambda: self._start(job))

    def advance(self) -> Iterator[Event]:
        """Take every active run one step further. Raises OutOfMemoryError, with every run as before the step.

        Where all active runs are being finished, it waits for the first of them.
        """
        if self._finishing and not self._batches:
            self._writer.wait_for_first()
        yield from self._written()
        for batch in list(self._batches.values()):
            yield from self._finish_done(batch)  # runs whose decoding ran out of memory before
            if not batch.keys:
                continue
            with _memory_errors(self._model):
                self._model.within_memory(batch.step)
            self._pre_encoder.encode_part()
            for run_id in batch.keys:
                yield self._progress(run_id, batch)
            yield from self._finish_done(batch)

    def save(self, run_id: str) -> None:
        """Write the run's state to its job's state file, atomically."""
        finishing = self._finishing.get(run_id)
        if finishing is not None:
            finishing.run.save(finishing.solver, finishing.step)
            return
        run = self._runs[run_id]
        solver, step = self._batches[run.latent_size].state(run_id)
        run.save(solver, step)

    def leave(self, run_id: str) -> None:
        """Remove the run; nothing is written for it afterwards. Its state is the last one that was saved."""
        if self._finishing.pop(run_id, None) is None:
            self._leave_batch(self._runs.pop(run_id))
        self._writer.settle(run_id)

    def close(self) -> None:
        """Free everything that the session holds; the model stays loaded for the next launch."""
        self._prefetch.close()
        self._writer.close()
        self._runs.clear()
        self._finishing.clear()
        self._batches.clear()

    def _leave_batch(self, run: RunState) -> None:
        run_id, batch = run.job.run.id, self._batches.get(run.latent_size)
        if batch is None:
            return
        if run_id in batch.keys:
            batch.leave(run_id)
        if not batch.keys:
            del self._batches[run.latent_size]

    def _written(self) -> Iterator[Event]:
        """Results of the runs whose files are written. Raises StorageError, and the run stays as it is."""
        for run_id in self._writer.written():
            result = self._writer.result(run_id)
            self.leave(run_id)
            yield result

    def _ended_by_error(self, run_id: str, work: Callable[[], Result | None]) -> list[Event]:
        """Do some work for a run; an error that concerns this run alone becomes its result, and the run leaves."""
        try:
            result = work()
        except (OutOfMemoryError, StorageError):  # no run's fault: the caller decides
            raise
        except CosmosBatchError as exc:
            if run_id in self._runs:
                self.leave(run_id)
            result = Result(run_id, Outcome.FAILED, str(exc))
        return [] if result is None else [result]

    def _finish_done(self, batch: DenoisingBatch) -> Iterator[Event]:
        done = [run_id for run_id in batch.keys if batch.done(run_id)]
        if done:  # the host may wait now, for the device or for files
            self._pre_encoder.encode_all()
        for run_id in done:
            yield from self._ended_by_error(run_id, partial(self._chunk_done, run_id))
            yield from self._written()

    def _start(self, job: Job) -> Result | None:
        run = job.run
        refused = check_prompts(self._model.guardrail, run.prompt, run.sampling.negative_prompt)
        if refused is not None:
            return Result(run.id, Outcome.BLOCKED, refused)
        # The state's file has a name by the contents of the inputs: their paths do not matter.
        request, model = with_paths(run, lambda _: "").fingerprint, model_key(run, self._identity)
        owners = " ".join((request, *model)), " ".join((run.fingerprint, *model))
        state = RunState.prepare(job, self._model, self._prefetch.take(run), owners)
        resumed = state.resume()
        conditioning = state.conditioning()
        solver, step = resumed or (state.start(conditioning), 0)
        batch = self._batches.get(state.latent_size) or DenoisingBatch(
            self._passes, step_caching=self._model.step_caching
        )
        batch.join(run.id, conditioning, solver, step)
        self._batches[state.latent_size] = batch
        self._runs[run.id] = state
        self._writer.take_controls(job, state.videos.controls, state.videos.form)
        if batch.done(run.id):  # saved between a chunk's last step and its decoding
            self._chunk_done(run.id)
        return None

    def _progress(self, run_id: str, batch: DenoisingBatch) -> Progress:
        run = self._runs[run_id]
        return Progress(run_id, run.chunk * run.steps + batch.steps_done(run_id), run.total_steps)

    def _chunk_done(self, run_id: str) -> None:
        before = self._runs[run_id]
        batch = self._batches[before.latent_size]
        solver, step = batch.state(run_id)
        if before.at_last_chunk:
            self._writer.make_room()
            with _memory_errors(self._model):
                frames = before.output(solver.sample)
            self._writer.take_output(before.job, frames, before.videos.form, before.videos.files)
            self._leave_batch(self._runs.pop(run_id))
            self._finishing[run_id] = _FinishingRun(before, solver, step)
            return
        with _memory_errors(self._model):
            run = before.copy()
            run.finish_chunk(solver.sample)
            conditioning = run.conditioning()
            start = run.start(conditioning)
        self._runs[run_id] = run
        batch.leave(run_id)
        batch.join(run_id, conditioning, start)


class InProcessEngine:
    """A model in this process, of any family."""

    def __init__(self, model: Model, traits: Traits, cache: ControlCache, identity: Mapping[str, str]) -> None:
        self._model = model
        self._traits = traits
        self._cache = cache
        self._identity = dict(identity)

    @property
    def traits(self) -> Traits:
        """The engine's traits: settings that must be equal per launch and per batch, and its abilities."""
        return self._traits

    @property
    def identity(self) -> Mapping[str, str]:
        """The facts that determine a video, for its record: engine, model, digests of the weights, versions."""
        return self._identity

    @property
    def model(self) -> Model:
        """The loaded model."""
        return self._model

    @property
    def loaded(self) -> tuple[str, ...]:
        """The control branches that are in memory."""
        return self._model.network.loaded

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the device that are free now or held by this process; None: not on a GPU."""
        return self._model.memory_bytes

    def calibrated(
        self,
        prior: CostModel,
        *,
        seconds: float,
        write: Callable[[Frames], None],
        say: Callable[[str], None],
    ) -> CostModel:
        """Measure the model on this machine; see `calibration.calibrate`."""
        model, settings = self._model, self._model.settings
        sizes = {size for by_aspect in settings.sizes.values() for size in by_aspect.values()}
        with _memory_errors(model):
            model.keep_only(model.controls)
            wanted = probes(sizes, settings.chunk_frames, len(model.controls))
            return calibrate(model, prior, wanted, seconds=seconds, write=write, say=say)

    def warm(self, prior: CostModel, prompts: Iterable[str]) -> None:
        """Compile all kernels that this model uses, and read the prompts: later processes find both on disk."""
        model, settings = self._model, self._model.settings
        sizes = (size for by_aspect in settings.sizes.values() for size in by_aspect.values())
        width, height = min(sizes, key=lambda size: size[0] * size[1])
        with _memory_errors(model):
            model.keep_only(model.controls)
            use_once(model, prior, Probe(width, height, settings.chunk_frames, 1, len(model.controls)))
            for prompt in prompts:
                model.network.read_prompt(prompt)

    def open(self, launch: Launch) -> InProcessSession:
        """Open a session for a launch: load the branches of its controls and free all others."""
        with _memory_errors(self._model):
            self._model.keep_only(launch.controls)
        return InProcessSession(self._model, self._cache, self._identity)
