"""A launch of one of NVIDIA's scripts: started once with all its runs, and again with what is left where it dies.

A tensor batch in which the script died is made again one run at a time, ahead of all else that is left. So the
run that kills the script is alone when it does so again, in the very next start, and only that run fails. Where
memory does not suffice, the tensor batches are halved.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result
from cosmos_batch.engines.nvidia.collect import file_output
from cosmos_batch.engines.nvidia.launch_files import Sample
from cosmos_batch.engines.nvidia.logs import Death, Diagnosis
from cosmos_batch.engines.nvidia.process_run import (
    FinishedOutput,
    ScriptContext,
    ScriptProcess,
    SkippedSample,
    unwritable,
)
from cosmos_batch.engines.nvidia.rebatch import equal_batches, first, without
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

_LOOKS = 2  # at a script, for one `advance` at most
_FALSE_STARTS = 3  # a script may be killed so often, one time after the other, before it has loaded its model


class ScriptSession:
    """A launched script. It works through the launch by itself; runs that join are handed what it makes."""

    def __init__(self, shop: ScriptContext, launch: Launch, folder: Path) -> None:
        """Start the script and wait until its model is loaded. `folder` is for the files of this launch alone.

        Raises UnavailableError where the script does not get so far.
        """
        self._shop = shop
        self._launch = launch
        self._folder = folder
        self._left = list(launch.batches)
        self._most = max(len(batch.runs) for batch in launch.batches)  # runs of a tensor batch that may fit
        self._alone: set[str] = set()  # runs to be made one at a time, before all others
        self._jobs: dict[str, Job] = {}
        self._ends: dict[str, FinishedOutput | Result] = {}  # how runs ended that were not handed out
        self._oversized: set[str] = set()  # runs of a tensor batch that did not fit, of which nobody was told
        self._memory_cause = ""
        self._trips = 0
        self._false_starts = 0  # in a row
        self._trip: ScriptProcess | None = None
        self._shown: dict[str, int] = {}  # steps that were told of, by run
        try:
            self._set_out()
            while self._trip is not None and not self._trip.began:
                time.sleep(shop.pause)
                self._look()
                self._set_out()
        except BaseException:
            self.close()
            raise

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return tuple(self._jobs)

    @property
    def finishing(self) -> tuple[str, ...]:
        """None: the script has the device as long as it runs."""
        return ()

    def switch_launch(self, launch: Launch) -> None:
        """A script has one launch, and nobody asks it for another."""
        raise EngineError(f"a session of {len(launch.runs)} other runs cannot go on in a script's")

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """The script reads what its launch has when it comes to it."""

    def join(self, job: Job) -> Iterable[Event]:
        """Let a run have what the script makes of it. Raises EngineError where it makes nothing of it any more."""
        left = (run.id for batch in self._left for run in batch.runs)
        if job.run.id not in self._ends and job.run.id not in left:
            raise EngineError(f"run {job.run.id} is not of this launch, or has ended")
        self._jobs[job.run.id] = job
        return ()

    def advance(self) -> Iterator[Event]:
        """Poll the script for events. Raises OutOfMemoryError, and UnavailableError if it does not restart."""
        events = self._handed_out()
        for _ in range(_LOOKS):
            if events:
                break
            self._raise_memory()
            self._set_out()
            self._look()
            events = self._progress() + self._handed_out()
            if not events:
                time.sleep(self._shop.pause)
        return iter(events)

    def save(self, run_id: str) -> None:
        """There is nothing to keep: a script's state cannot be saved."""

    def leave(self, run_id: str) -> None:
        """Take the run out. What the script makes of it waits for it to join again."""
        self._jobs.pop(run_id, None)

    def close(self) -> None:
        """End the script, and keep nothing but its log and its specs."""
        trip, self._trip = self._trip, None
        if trip is not None:
            trip.close()
        self._jobs.clear()
        for part in ("fetched", "inputs", "outputs"):
            for rest in self._folder.glob(f"*/{part}"):
                shutil.rmtree(rest, ignore_errors=True)

    def _set_out(self) -> None:
        """Start the script on what is left, unless it is at work, or nothing is left."""
        if self._trip is not None or not self._left:
            return
        launch = self._next_launch()
        self._trips += 1
        folder = self._folder / f"{self._trips:04}"
        try:
            self._trip = ScriptProcess(self._shop, launch, folder)
        except StorageError:
            raise
        except (MediaError, PlanError) as exc:
            self._refuse(launch, exc)
            self._set_out()
        except EngineError as exc:
            raise UnavailableError(f"the script cannot be started: {exc}") from exc

    def _next_launch(self) -> Launch:
        most = 1 if self._alone else self._most
        batches = equal_batches(first(self._left, self._alone), most)
        return replace(self._launch, batches=tuple(batches))

    def _refuse(self, launch: Launch, error: CosmosBatchError) -> None:
        """Fail the runs for which alone no files can be written either. Raises the error if there are none."""
        refused = unwritable(self._shop, launch, self._folder)
        if not refused:
            raise error
        self._ends |= {run_id: Result(run_id, Outcome.FAILED, cause) for run_id, cause in refused.items()}
        self._left = without(self._left, refused)

    def _look(self) -> None:
        """See what the script has done; where it is over, see to what is left."""
        trip = self._trip
        if trip is None:
            return
        for news in trip.look():
            self._ends[news.sample.run.id] = news if isinstance(news, FinishedOutput) else self._passed_over(news)
        if trip.over:
            self._trip = None
            trip.close()
            self._take_stock(trip)
        self._left = without(self._left, self._ends.keys())
        self._alone.difference_update(self._ends)

    def _passed_over(self, news: SkippedSample) -> Result:
        run_id = news.sample.run.id
        if self._shop.script.guarded:
            return Result(run_id, Outcome.BLOCKED, "the guardrail refused its prompt or its video")
        return Result(run_id, Outcome.FAILED, "the script ended well, and made no video of it")

    def _take_stock(self, trip: ScriptProcess) -> None:
        """Decide on the runs that a script that is over has not brought to an end."""
        self._doubt(trip)
        diagnosis = trip.diagnosis()
        if diagnosis is None:
            return
        if trip.began:
            self._false_starts = 0
            self._blame(trip.current, diagnosis)
            return
        self._false_starts += 1
        if diagnosis.death is not Death.KILLED or self._false_starts >= _FALSE_STARTS:
            raise UnavailableError(f"the script does not start: {diagnosis.cause}; its log is {trip.log}")

    def _doubt(self, trip: ScriptProcess) -> None:
        """Have runs made again alone that cannot be told apart; where that was so, the prompt is not the run's."""
        ids = [sample.run.id for sample in trip.ambiguous]
        if trip.batch_size > 1:
            self._alone.update(ids)
            return
        cause = "the script left an output with another prompt than the run's"
        self._ends |= {run_id: Result(run_id, Outcome.FAILED, cause) for run_id in ids}

    def _blame(self, current: Sequence[Sample], diagnosis: Diagnosis) -> None:
        """Deal with the tensor batch in which the script died."""
        ids = [sample.run.id for sample in current]
        if diagnosis.death is Death.BLOCKED and self._shop.script.dies_blocked:
            cause = "the guardrail refused its prompt or its video, as all of its tensor batch"
            self._ends |= {run_id: Result(run_id, Outcome.BLOCKED, cause) for run_id in ids}
        elif diagnosis.death is Death.MEMORY and len(ids) > 1:
            self._most = max(1, len(ids) // 2)
            self._oversized, self._memory_cause = set(ids), diagnosis.cause
        elif len(ids) == 1:
            alone = "does not fit in memory, even alone: " if diagnosis.death is Death.MEMORY else ""
            retryable = diagnosis.death is Death.KILLED
            self._ends[ids[0]] = Result(ids[0], Outcome.FAILED, alone + diagnosis.cause, retryable)
        else:
            self._alone.update(ids)

    def _raise_memory(self) -> None:
        """Tell of a tensor batch that did not fit, once, to those who wait for it: they may learn from it."""
        if self._oversized.intersection(self._jobs):
            self._oversized = set()
            raise OutOfMemoryError(self._memory_cause)

    def _progress(self) -> list[Event]:
        """How far the script is with runs that joined, where that is news."""
        events: list[Event] = []
        for sample in self._trip.current if self._trip else ():
            run_id = sample.run.id
            step, steps = self._trip.steps(sample) if self._trip else (0, 0)
            if run_id in self._jobs and step > self._shown.get(run_id, 0):
                self._shown[run_id] = step
                events.append(Progress(run_id, step, steps))
        return events

    def _handed_out(self) -> list[Event]:
        """The ends of runs that joined."""
        events: list[Event] = []
        for run_id in [run_id for run_id in self._ends if run_id in self._jobs]:
            end = self._ends.pop(run_id)
            job = self._jobs.pop(run_id)
            events += [end] if isinstance(end, Result) else self._hand_out(end, job)
        return events

    def _hand_out(self, made: FinishedOutput, job: Job) -> list[Event]:
        try:
            file_output(made.video, made.controls, job)
        except StorageError:
            raise
        except MediaError as exc:
            return [Result(job.run.id, Outcome.FAILED, f"its output cannot be read: {exc}", retryable=True)]
        finally:
            with suppress(OSError):
                made.video.unlink()
        result = Result(job.run.id, Outcome.SUCCEEDED)
        if self._trips > 1:
            return [result]  # without its last step: how long it took says nothing of what its batch costs
        each = job.run.sampling.num_steps or 1
        steps = each * self._shop.chunks(made.sample.facts.frames)
        return [Progress(job.run.id, steps, steps), result]
