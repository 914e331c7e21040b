"""Attempts: runs are claimed; an attempt ends with its output verified and published, and the ledger updated."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress

from cosmos_batch.dispatch.contract import (
    BatchBroke,
    BatchEnd,
    BatchEnded,
    Cancelled,
    Ended,
    EngineBroke,
    Failed,
    LaunchFailed,
    LeaseLost,
    Noted,
    Outcome,
    PredictedCost,
    Refused,
    Requeued,
    SessionReady,
    Slot,
    Stepped,
)
from cosmos_batch.dispatch.execution.broken_batches import defer_launch, record_broken_batch
from cosmos_batch.dispatch.execution.context import DispatchContext, output_flaw
from cosmos_batch.dispatch.execution.measurements import BatchTimes, MeasurementLog
from cosmos_batch.dispatch.execution.record import inspect_output, write_record
from cosmos_batch.dispatch.execution.run_tries import RunTries
from cosmos_batch.dispatch.execution.slots import ClaimedBatch, make_slot
from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.dispatch.output.inputs import changed_inputs
from cosmos_batch.dispatch.output.kept_video import published_tries
from cosmos_batch.dispatch.output.provenance import key_of_inputs, published_scores
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.engines.base import Outcome as EngineOutcome
from cosmos_batch.engines.base import Result
from cosmos_batch.errors import CosmosBatchError, LedgerError, OutputError, StorageError, UnavailableError, explain
from cosmos_batch.ledger import BatchFacts, Claim, Publication, State
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import ResolvedRun, nth_try
from cosmos_batch.scoring.acceptance import Tries, Try
from cosmos_batch.scoring.scores import VideoScores

PROGRESS_SECONDS = 1.0  # between two writes of denoising steps to the ledger


class AttemptRecorder:
    """The only writer of attempts. Main thread only.

    It knows every attempt of this process that is open, so that none is left behind.
    """

    def __init__(self, context: DispatchContext, measurements: MeasurementLog) -> None:
        self._context = context
        self._measurements = measurements
        self._tries = RunTries(context)
        self._times = BatchTimes(context.clock)
        self._open: dict[int, Slot] = {}
        self._failures: dict[str, int] = {}  # failed attempts of the open attempts' runs
        self._members: dict[int, tuple[str, ...]] = {}  # runs that were ever in a batch, by its number
        self._progress = Throttle(PROGRESS_SECONDS, context.clock)

    # What execution asks for before a run joins

    def claim(
        self, batch: Batch, cost: PredictedCost, failures: Mapping[str, int], into: int | None = None
    ) -> ClaimedBatch | None:
        """Claim the runs of a batch that still wait; None where none does.

        `failures`: failed attempts so far, by run id; `into`: the number of a batch that the runs join.
        """
        context = self._context
        predicted = (cost.seconds, cost.bytes, cost.alone_seconds, cost.load_seconds)
        facts = BatchFacts(context.identity["engine"], batch.shape, *predicted)
        ids = [run.id for run in batch.runs]
        claim = context.ledger.queue.claim(ids, facts, context.worker, context.settings.lease, into)
        if claim is None:
            return None
        claimed = batch.take([run for run in batch.runs if run.id in claim.attempts])
        self._failures |= {run.id: failures.get(run.id, 0) for run in claimed.runs}
        slots = [self._slot(run, claim, claim.attempts[run.id]) for run in claimed.runs]
        return ClaimedBatch(claimed, claim.batch, tuple(slot for slot in slots if slot))

    def begin(self, claimed: ClaimedBatch, *, joined: bool = False) -> None:
        """Mark claimed runs as running; `joined`: in a batch that was running before."""
        ids = [slot.run_id for slot in claimed.slots]
        self._context.ledger.attempts.begin(ids)
        self._context.events.began(claimed.number, ids)
        if joined:
            self._context.counters.count("joins", len(ids))
        else:
            self._times.begin(claimed.number, claimed.batch)
        self._times.join(claimed.number, claimed.slots)

    def launched(self, launch: Launch) -> None:
        """Emit that an engine starts on a launch."""
        self._context.events.launched(launch.reason, len(launch.runs))

    def _slot(self, run: ResolvedRun, claim: Claim, attempt: int) -> Slot | None:
        """Return a slot for the attempt; None where the attempt has ended already, with or without a video."""
        try:
            if not output_flaw(run, self._context):
                self._found(run, attempt)
                return None
            slot = make_slot(run, attempt, claim.batch, self._context)
            stands = self._tries.begin(run, claim.tries.get(run.id, 0))
        except OSError as exc:
            self._refuse(run, attempt, f"an input cannot be read: {exc.filename}: {exc.strerror}")
            return None
        self._open[attempt] = slot
        if stands is not None:
            self._conclude(slot, stands)
            return None
        self._members[claim.batch] = (*self._members.get(claim.batch, ()), run.id)
        return slot

    def _found(self, run: ResolvedRun, attempt: int) -> None:
        """End an attempt whose output was published by a process that was killed right after."""
        reason = "its finished output was found"
        folder = self._context.folder.published(run.id)
        scores, tries = published_scores(folder), published_tries(run, folder)
        self._context.ledger.attempts.finish(attempt, State.SUCCEEDED, reason, scores=scores, tries=tries)
        self._context.events.changed(run.id, State.SUCCEEDED, reason)
        self._context.folder.delete_checkpoints({run.id})

    def _refuse(self, run: ResolvedRun, attempt: int, cause: str) -> None:
        """Fail an attempt before it has a slot."""
        self._context.ledger.attempts.finish(attempt, State.FAILED, cause, failure=True)
        self._context.leases.drop(attempt)
        self._context.events.changed(run.id, State.FAILED, cause)

    # Outcomes

    def record(self, outcome: Outcome) -> None:
        """Record an outcome. Raises StorageError, LedgerError and UnavailableError."""
        match outcome:
            case Stepped():
                self._stepped(outcome)
            case Ended() | Failed() | Requeued() | Cancelled() | LeaseLost():
                self._attempt_ended(outcome)
            case BatchEnded():
                self._batch_ended(outcome)
            case BatchBroke():
                record_broken_batch(outcome, self._context, self._measurements)
            case SessionReady():
                self._measurements.loaded(outcome.launch, outcome.seconds)
            case LaunchFailed():
                defer_launch(outcome, self._context)
            case Refused():
                self._context.ledger.runs.set_state([outcome.run_id], State.FAILED, outcome.reason)
            case Noted():
                self._context.events.noted(outcome.message)
            case EngineBroke():
                self._context.events.noted(f"the engine broke: {outcome.cause}")

    def release(self, reason: str) -> None:
        """Requeue every attempt that is still open, as far as the ledger can be written."""
        for slot in list(self._open.values()):
            with suppress(CosmosBatchError):
                self._requeue(slot, reason)

    def forget(self) -> set[int]:
        """Forget every open attempt, whose runs were requeued in another way; return the attempts."""
        forgotten = set(self._open)
        for attempt in forgotten:
            self._context.leases.drop(attempt)
        self._open.clear()
        self._failures.clear()
        self._members.clear()
        self._times.clear()
        return forgotten

    def _stepped(self, outcome: Stepped) -> None:
        """Emit the step; every second write all steps to the ledger, which renews the leases."""
        context = self._context
        self._times.stepped(outcome)
        context.events.stepped(outcome.slot.run_id, outcome.step, outcome.steps)
        context.counters.count("steps")
        if outcome.step == outcome.steps:
            context.streak.denoised(outcome.slot.run_id)
        if outcome.first and self._progress.due():
            started = context.clock()
            context.ledger.attempts.progress(self._times.progress(self._open), context.settings.lease)
            self._progress.spent(context.clock() - started)

    def _attempt_ended(self, outcome: Ended | Failed | Requeued | Cancelled | LeaseLost) -> None:
        started = self._context.clock()
        slot = outcome.slot
        match outcome:
            case Ended():
                self._ended(outcome)
            case Failed(cause=cause, retryable=retryable):
                self._fail(slot, cause, retryable)
            case Requeued(reason=reason, preempted=preempted):
                self._context.counters.count("preemptions", float(preempted))
                self._requeue(slot, reason)
            case Cancelled(reason=reason):
                self._cancel(slot, reason)
            case LeaseLost():
                self._drop_lost(slot)
        if isinstance(outcome, Ended) and outcome.finishing:
            self._times.finished(slot, started if outcome.since is None else outcome.since)
        self._end_batch_when_over(slot.batch)

    def _ended(self, outcome: Ended) -> None:
        slot, result = outcome.slot, outcome.result
        try:
            match result.outcome:
                case EngineOutcome.SUCCEEDED:
                    self._succeed(slot, result, outcome.inspection.result if outcome.inspection else None)
                case EngineOutcome.BLOCKED:
                    self._block(slot, result)
                case EngineOutcome.PREEMPTED:
                    self._requeue(slot, result.cause)
                case EngineOutcome.FAILED:
                    self._fail(slot, result.cause, result.retryable)
        except (StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            self._fail(slot, explain(exc), retryable=False)

    def _succeed(self, slot: Slot, result: Result, inspection: Callable[[], VideoScores] | None) -> None:
        context = self._context
        if not context.ledger.attempts.renew([slot.attempt], context.settings.lease):
            self._drop_lost(slot)
            return
        try:
            scores = inspect_output(slot, context) if inspection is None else inspection()
            if changed := changed_inputs(slot.inputs, result.decoded):
                self._fail(slot, f"changed while the video was made: {', '.join(changed)}", retryable=True)
                return
            company = self._members.get(slot.batch, (slot.run_id,))
            tries = self._tries.after(slot, Try(slot.run.sampling.seed, scores.values))
            write_record(slot, context, company, result.guardrail, scores, tries)
            if tries is not None:
                self._tries.keep(slot, tries)
                self._conclude(slot, tries)
            elif self._may_publish(slot):
                context.folder.publish(slot.job.folder, slot.run_id)
                self._published(slot, scores.values)
        except OutputError as exc:
            self._fail(slot, f"its output does not hold: {exc}", retryable=True)

    def _conclude(self, slot: Slot, tries: Tries) -> None:
        """Publish the best attempt at a run where no other is made, else let the run wait for the next one."""
        if not tries.settled:
            seed = nth_try(slot.run, len(tries.made)).sampling.seed
            self._close(slot, State.QUEUED, f"{tries.verdict}; the next seed is {seed}", tries=tries)
            self._forget_state(slot)
            return
        best = self._tries.best(slot.run, tries)
        if tries.best is not None and self._may_publish(slot):
            self._context.folder.publish(best, slot.run_id)
            self._published(slot, tries.best.scores, tries)

    def _published(self, slot: Slot, scores: Mapping[str, float], tries: Tries | None = None) -> None:
        """Record that a run's video has its final name."""
        self._context.streak.succeeded()
        self._close(slot, State.SUCCEEDED, "" if tries is None else tries.verdict, scores=scores, tries=tries)
        self._forget_state(slot)
        self._tries.forget(slot.run)

    def _count_try(self, slot: Slot, fault: str) -> bool:
        """Count an attempt without a video where an earlier one has one; return whether there is one."""
        tries = self._tries.after(slot, Try(slot.run.sampling.seed, {}, fault))
        if tries is None or tries.best is None:
            return False
        self._tries.keep(slot, tries)
        self._conclude(slot, tries)
        return True

    def _block(self, slot: Slot, result: Result) -> None:
        if changed := changed_inputs(slot.inputs, result.decoded):
            self._fail(slot, f"changed while it was read: {', '.join(changed)}", retryable=True)
            return
        if self._count_try(slot, result.cause):
            return
        key = key_of_inputs(slot.run, self._context.identity, slot.inputs)
        self._close(slot, State.BLOCKED, result.cause, blocked_key=key)
        self._forget_state(slot)

    def _may_publish(self, slot: Slot) -> bool:
        """Settle whether an output is published. If not, end the attempt: cancelled, or its lease lost."""
        match self._context.ledger.attempts.start_publication(slot.attempt, self._context.settings.lease):
            case Publication.LOST:
                self._drop_lost(slot)
            case Publication.CANCELLED:
                self._cancel(slot, "cancelled")
            case Publication.GRANTED:
                return True
        return False

    def _fail(self, slot: Slot, cause: str, retryable: bool) -> None:
        """Count a failure against the run, unless the output folder is at fault.

        A run that failed from a checkpoint is tried again from its start: the checkpoint may be the reason.
        """
        settings = self._context.settings
        self._context.folder.probe()
        self._forget_state(slot)
        count = self._failures.get(slot.run_id, 0) + 1
        again = (retryable or slot.resumed) and count < settings.max_failures
        self._context.streak.failed(slot.run, cause, final=not again)
        if again:
            self._context.counters.count("retries")
            self._close(slot, State.QUEUED, cause, failure=True, wait=settings.wait_after(count))
        elif not self._count_try(slot, cause):
            self._close(slot, State.FAILED, cause, failure=True)

    def _cancel(self, slot: Slot, reason: str) -> None:
        if slot.attempt in self._context.leases.lost:
            self._drop_lost(slot)
        else:
            self._close(slot, State.CANCELLED, reason)
            self._forget_state(slot)
            self._tries.forget(slot.run)

    def _requeue(self, slot: Slot, reason: str) -> None:
        """Let a run wait again, from its checkpoint where there is one. It is not the run's fault."""
        self._close(slot, State.PREEMPTED if slot.job.state.exists() else State.QUEUED, reason)

    def _drop_lost(self, slot: Slot) -> None:
        """Discard an attempt's files: its lease expired, and another worker may own the run."""
        self._context.events.noted(f"{slot.run_id}: its lease ran out, and another worker may have it")
        self._leave(slot)

    def _close(
        self,
        slot: Slot,
        state: State,
        cause: str,
        *,
        failure: bool = False,
        wait: float = 0.0,
        blocked_key: str = "",
        scores: Mapping[str, float] | None = None,
        tries: Tries | None = None,
    ) -> None:
        attempts, steps = self._context.ledger.attempts, self._times.steps(slot)
        attempts.finish(
            slot.attempt,
            state,
            cause,
            failure=failure,
            wait=wait,
            steps=steps,
            blocked_key=blocked_key,
            scores=scores,
            tries=tries,
        )
        self._context.events.changed(slot.run_id, state, cause)
        self._leave(slot)

    def _leave(self, slot: Slot) -> None:
        self._context.leases.drop(slot.attempt)
        self._context.streak.left(slot.run_id)
        self._open.pop(slot.attempt, None)
        self._failures.pop(slot.run_id, None)
        shutil.rmtree(slot.job.folder, ignore_errors=True)

    def _forget_state(self, slot: Slot) -> None:
        with folder_errors(self._context.folder.root):
            slot.job.state.unlink(missing_ok=True)

    # Batches and launches

    def _batch_ended(self, outcome: BatchEnded) -> None:
        if outcome.end is BatchEnd.CRASHED or not self._times.knows(outcome.number):
            seconds = self._times.seconds(outcome.number)
            self._context.ledger.attempts.end_batch(outcome.number, outcome.cause, seconds)
            self._forget_batch(outcome.number)
        else:
            self._times.end(outcome)
            self._end_batch_when_over(outcome.number)
        if outcome.end is BatchEnd.CRASHED:
            self._context.folder.probe()

    def _end_batch_when_over(self, number: int) -> None:
        """End a batch once all its runs have ended, and learn how long it took."""
        over = self._times.over(number, self._open)
        if over is None:
            return
        self._context.ledger.attempts.end_batch(number, over.cause, over.seconds)
        self._measurements.took(over)
        self._forget_batch(number)

    def _forget_batch(self, number: int) -> None:
        self._times.forget(number)
        self._members.pop(number, None)
