"""A launch of one of NVIDIA's scripts: started with all runs, and restarted with the rest after an early exit.

A tensor batch in which the script exited is repeated one run at a time, ahead of all other remaining runs. So the
run at which the script exits is alone at the next exit, in the very next start, and only that run fails. After an
out-of-memory error the tensor batches are halved.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result
from cosmos_batch.engines.nvidia.collect import collect_output
from cosmos_batch.engines.nvidia.launch_files import Sample
from cosmos_batch.engines.nvidia.logs import Diagnosis, ExitCause
from cosmos_batch.engines.nvidia.process_run import (
    FinishedOutput,
    ScriptContext,
    ScriptProcess,
    SkippedSample,
    unwritable_runs,
)
from cosmos_batch.engines.nvidia.rebatch import RemainingRuns
from cosmos_batch.errors import (
    CosmosBatchError,
    EngineError,
    MediaError,
    OutOfMemoryError,
    PlanError,
    StorageError,
    UnavailableError,
)
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import ResolvedRun

_POLLS = 2  # polls of a script in one `advance`, at most
_MAX_FAILED_STARTS = 3  # consecutive times that a script may be killed before it has loaded its model


class ScriptSession:
    """A launched script. It executes the launch by itself; a run that joins receives its events."""

    def __init__(self, context: ScriptContext, launch: Launch, folder: Path) -> None:
        """Start the script and wait until its model is loaded. `folder` is for the files of this launch alone.

        Raises UnavailableError if the script does not get so far.
        """
        self._context = context
        self._launch = launch
        self._folder = folder
        self._remaining = RemainingRuns(launch.batches)
        self._jobs: dict[str, Job] = {}
        self._ended: dict[str, FinishedOutput | Result] = {}  # ends of runs that were not yet reported
        self._out_of_memory: tuple[set[str], str] | None = None  # batch that did not fit, and why, until reported
        self._starts = 0
        self._failed_starts = 0  # consecutive
        self._process: ScriptProcess | None = None
        self._reported_steps: dict[str, int] = {}  # by run
        try:
            self._start_script()
            while self._loading:
                time.sleep(context.poll_seconds)
                self._poll()
                self._start_script()
        except BaseException:
            self.close()
            raise

    @property
    def _loading(self) -> bool:
        return self._process is not None and not self._process.started

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return tuple(self._jobs)

    @property
    def finishing(self) -> tuple[str, ...]:
        """Always empty: the script has the device as long as it runs."""
        return ()

    def switch_launch(self, launch: Launch) -> None:
        """Raise EngineError: a script executes one launch."""
        raise EngineError(f"a session of {len(launch.runs)} other runs cannot go on in a script's")

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Do nothing: the script reads its inputs itself."""

    def join(self, job: Job) -> Iterable[Event]:
        """Report this run's events from now on. Raises EngineError for a run of another launch or an ended one."""
        if job.run.id not in self._ended and job.run.id not in self._remaining:
            raise EngineError(f"run {job.run.id} is not of this launch, or has ended")
        self._jobs[job.run.id] = job
        return ()

    def advance(self) -> Iterator[Event]:
        """Poll the script for events. Raises OutOfMemoryError, and UnavailableError if it does not restart."""
        events = self._results()
        for _ in range(_POLLS):
            if events:
                break
            self._raise_out_of_memory()
            self._start_script()
            self._poll()
            events = self._progress() + self._results()
            if not events:
                time.sleep(self._context.poll_seconds)
        return iter(events)

    def save(self, run_id: str) -> None:
        """Do nothing: a script's state cannot be saved."""

    def leave(self, run_id: str) -> None:
        """Stop reporting this run. Its output is kept for when it joins again."""
        self._jobs.pop(run_id, None)

    def close(self) -> None:
        """End the script, and remove all of its files but logs and specs."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._jobs.clear()
        for part in ("fetched", "inputs", "outputs"):
            for path in self._folder.glob(f"*/{part}"):
                shutil.rmtree(path, ignore_errors=True)

    def _start_script(self) -> None:
        """Start the script on the remaining runs, unless it runs or none remain."""
        if self._process is not None or not self._remaining:
            return
        launch = replace(self._launch, batches=self._remaining.next_batches())
        self._starts += 1
        folder = self._folder / f"{self._starts:04}"
        try:
            self._process = ScriptProcess(self._context, launch, folder)
        except StorageError:
            raise
        except (MediaError, PlanError) as exc:
            self._refuse(launch, exc)
            self._start_script()
        except EngineError as exc:
            raise UnavailableError(f"the script cannot be started: {exc}") from exc

    def _refuse(self, launch: Launch, error: CosmosBatchError) -> None:
        """Fail the runs for which no files can be written even alone. Raises the error if there are none."""
        refused = unwritable_runs(self._context, launch, self._folder)
        if not refused:
            raise error
        self._ended |= {run_id: Result(run_id, Outcome.FAILED, cause) for run_id, cause in refused.items()}
        self._remaining.drop(refused)

    def _poll(self) -> None:
        """Record the samples that ended; after the script's exit, decide on the remaining runs."""
        process = self._process
        if process is None:
            return
        for end in process.poll():
            self._ended[end.sample.run.id] = end if isinstance(end, FinishedOutput) else self._skipped(end)
        if process.ended:
            self._process = None
            process.close()
            self._on_exit(process)
        self._remaining.drop(self._ended)

    def _skipped(self, skipped: SkippedSample) -> Result:
        run_id = skipped.sample.run.id
        if self._context.script.skips_blocked:
            return Result(run_id, Outcome.BLOCKED, "the guardrail refused its prompt or its video")
        return Result(run_id, Outcome.FAILED, "the script ended well, and made no video of it")

    def _on_exit(self, process: ScriptProcess) -> None:
        """Decide on the runs that an ended script has not finished."""
        self._retry_ambiguous(process)
        diagnosis = process.diagnosis()
        if diagnosis is None:
            return
        if process.started:
            self._failed_starts = 0
            self._attribute_exit(process.current, diagnosis)
            return
        self._failed_starts += 1
        if diagnosis.cause is not ExitCause.KILLED or self._failed_starts >= _MAX_FAILED_STARTS:
            raise UnavailableError(f"the script does not start: {diagnosis.message}; its log is {process.log}")

    def _retry_ambiguous(self, process: ScriptProcess) -> None:
        """Repeat ambiguous runs alone; fail a run whose output has another prompt although it was alone."""
        ids = [sample.run.id for sample in process.ambiguous]
        if process.batch_size > 1:
            self._remaining.repeat_alone(ids)
            return
        cause = "the script left an output with another prompt than the run's"
        self._ended |= {run_id: Result(run_id, Outcome.FAILED, cause) for run_id in ids}

    def _attribute_exit(self, current: Sequence[Sample], diagnosis: Diagnosis) -> None:
        """Block, fail or repeat the runs of the tensor batch in which the script exited."""
        ids = [sample.run.id for sample in current]
        if diagnosis.cause is ExitCause.BLOCKED and self._context.script.exits_when_blocked:
            cause = "the guardrail refused its prompt or its video, as all of its tensor batch"
            self._ended |= {run_id: Result(run_id, Outcome.BLOCKED, cause) for run_id in ids}
        elif diagnosis.cause is ExitCause.MEMORY and len(ids) > 1:
            self._remaining.limit(max(1, len(ids) // 2))
            self._out_of_memory = set(ids), diagnosis.message
        elif len(ids) == 1:
            alone = "does not fit in memory, even alone: " if diagnosis.cause is ExitCause.MEMORY else ""
            retryable = diagnosis.cause is ExitCause.KILLED
            self._ended[ids[0]] = Result(ids[0], Outcome.FAILED, alone + diagnosis.message, retryable)
        else:
            self._remaining.repeat_alone(ids)

    def _raise_out_of_memory(self) -> None:
        """Raise OutOfMemoryError once for a tensor batch that did not fit, if one of its runs has joined."""
        if self._out_of_memory is None:
            return
        ids, cause = self._out_of_memory
        if ids.intersection(self._jobs):
            self._out_of_memory = None
            raise OutOfMemoryError(cause)

    def _progress(self) -> list[Event]:
        """Progress of runs that joined, where it has changed."""
        events: list[Event] = []
        for sample in self._process.current if self._process else ():
            run_id = sample.run.id
            step, steps = self._process.steps(sample) if self._process else (0, 0)
            if run_id in self._jobs and step > self._reported_steps.get(run_id, 0):
                self._reported_steps[run_id] = step
                events.append(Progress(run_id, step, steps))
        return events

    def _results(self) -> list[Event]:
        """Results of joined runs that ended."""
        events: list[Event] = []
        for run_id in [run_id for run_id in self._ended if run_id in self._jobs]:
            end = self._ended.pop(run_id)
            job = self._jobs.pop(run_id)
            events += [end] if isinstance(end, Result) else self._collect(end, job)
        return events

    def _collect(self, output: FinishedOutput, job: Job) -> list[Event]:
        try:
            collect_output(output.video, output.controls, job)
        except StorageError:
            raise
        except MediaError as exc:
            return [Result(job.run.id, Outcome.FAILED, f"its output cannot be read: {exc}", retryable=True)]
        finally:
            with suppress(OSError):
                output.video.unlink()
        checks = self._context.script.guardrail
        result = Result(job.run.id, Outcome.SUCCEEDED, decoded=output.decoded, guardrail=checks)
        if self._starts > 1:
            return [result]  # no last step: after a restart its time says nothing of the cost of its batch
        each = job.run.sampling.num_steps or 1
        steps = each * self._context.chunks(output.sample.run, output.sample.expected.frames)
        return [Progress(job.run.id, steps, steps), result]
