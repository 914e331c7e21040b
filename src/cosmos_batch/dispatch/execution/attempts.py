"""What becomes of a run's attempt: its output checked and published, its end in the ledger, the user told."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.dispatch.execution.leases import Leases
from cosmos_batch.dispatch.execution.slot import Slot
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.output.directory import OutputDirectory, folder_errors
from cosmos_batch.dispatch.output.provenance import (
    AttemptInfo,
    Digest,
    Identity,
    check_published,
    describe,
    request_key,
    write_description,
)
from cosmos_batch.dispatch.settings import DispatchSettings, EventSink, Throttle
from cosmos_batch.engines.base import Job, Outcome, Result
from cosmos_batch.errors import OutputError
from cosmos_batch.ledger import Ledger, State
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun

PROGRESS_SECONDS = 1.0  # between two writings of denoising steps into the ledger


class CheckOutput(Protocol):
    """Opens a run's output and raises OutputError where it is not the video that was asked for."""

    def __call__(self, run: ResolvedRun, shape: Shape, job: Job) -> None: ...


def check_thread() -> Executor:
    """A thread to open outputs in."""
    return ThreadPoolExecutor(1, "checks")


@dataclass(frozen=True, slots=True)
class DispatchContext:
    """What dispatching needs of the world."""

    folder: OutputDirectory
    ledger: Ledger
    identity: Identity  # of the engine
    costed_as: tuple[str, str]  # engine and device, as the cost model names them
    digest: Digest
    shape: Callable[[ResolvedRun], Shape]  # what a run's output must measure
    check: CheckOutput
    checks: Executor  # where outputs are opened while others are denoised
    settings: DispatchSettings
    events: EventSink
    clock: Callable[[], float] = time.time
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    leases: Leases = field(default_factory=Leases)
    counters: Counters = field(default_factory=Counters)


class AttemptRecorder:
    """The recorder of one flight."""

    def __init__(self, tools: DispatchContext, batch: int, failures: dict[str, int]) -> None:
        """`failures` holds, by run id, the attempts that a run has made fail so far, and is kept up to date."""
        self._tools = tools
        self._batch = batch
        self._failures = failures
        self._company: tuple[str, ...] = ()
        self._pace = Throttle(PROGRESS_SECONDS, tools.clock)

    def know(self, failures: Mapping[str, int]) -> None:
        """The same of runs that join later."""
        self._failures |= failures

    def place(self, run: ResolvedRun, attempt: int) -> Slot | None:
        """A place for the attempt; None where it has come to its end already, with or without a video."""
        try:
            return None if self._is_made(run, attempt) else self._seat(run, attempt)
        except OSError as exc:
            self._refused(run, attempt, f"an input cannot be read: {exc.filename}: {exc.strerror}")
            return None

    def _seat(self, run: ResolvedRun, attempt: int) -> Slot:
        """With its folder made. Raises OSError where an input cannot be read."""
        tools = self._tools
        key = request_key(run, tools.identity, tools.digest)
        state = tools.folder.checkpoint(run.id, key)
        job = Job(run, tools.folder.work(attempt), state)
        self._company += (run.id,)
        tools.leases.take(attempt)
        return Slot(job, attempt, resumed=state.exists(), started=tools.clock())

    def _is_made(self, run: ResolvedRun, attempt: int) -> bool:
        """Whether the run's finished output lies there already: published by a process that died right after.

        Then the attempt ends with it. Raises OSError where an input cannot be read.
        """
        tools = self._tools
        published = tools.folder.published(run.id)
        if not published.exists():
            return False
        try:
            check_published(published, request_key(run, tools.identity, tools.digest))
        except OutputError:
            return False
        reason = "its finished output was found"
        tools.ledger.attempts.finish(attempt, State.SUCCEEDED, reason)
        tools.events.changed(run.id, State.SUCCEEDED, reason)
        tools.folder.delete_checkpoints({run.id})
        return True

    def stepped(self, seat: Slot, seats: Sequence[Slot]) -> None:
        """Show a step at once, and write all of them down now and then, which renews the lease."""
        self._tools.events.stepped(seat.id, seat.step, seat.steps)
        self._tools.counters.count("steps")
        if self._pace.due():
            started = self._tools.clock()
            steps = {other.attempt: (other.step, other.steps) for other in seats if not other.landed}
            self._tools.ledger.attempts.progress(steps, self._tools.settings.lease)
            self._pace.spent(self._tools.clock() - started)

    def noted(self, message: str) -> None:
        """Tell the user."""
        self._tools.events.noted(message)

    def inspect(self, seat: Slot) -> None:
        """Open a run's output. Raises OutputError where it does not hold. Any thread may do so."""
        run = seat.job.run
        self._tools.check(run, self._tools.shape(run), seat.job)

    def ended(self, seat: Slot, result: Result, inspected: Callable[[], None] | None = None) -> None:
        """Act on what the engine says. `inspected` gives what came of `inspect`; None: it is done here.

        Raises StorageError and LedgerError.
        """
        match result.outcome:
            case Outcome.SUCCEEDED:
                self._succeeded(seat, inspected or (lambda: self.inspect(seat)))
            case Outcome.BLOCKED:
                self._close(seat, State.BLOCKED, result.cause)
                self._forget_state(seat)
            case Outcome.PREEMPTED:
                self.put_back(seat, result.cause)
            case Outcome.FAILED:
                self.failed(seat, result.cause, result.retryable)

    def _succeeded(self, seat: Slot, inspected: Callable[[], None]) -> None:
        tools = self._tools
        if not tools.ledger.attempts.renew([seat.attempt], tools.settings.lease):
            self.lost(seat)
            return
        try:
            inspected()
            self._describe(seat)
            tools.folder.publish(seat.job.folder, seat.id)
        except OutputError as exc:
            self.failed(seat, f"its output does not hold: {exc}", retryable=True)
        else:
            self._close(seat, State.SUCCEEDED, "")
            self._forget_state(seat)

    def _describe(self, seat: Slot) -> None:
        tools = self._tools
        circumstances = AttemptInfo(
            seat.attempt, self._batch, self._company, seat.started, tools.clock(), seat.resumed
        )
        with folder_errors(tools.folder.root):
            made = describe(seat.job.run, seat.job.folder, tools.identity, tools.digest, circumstances)
            write_description(seat.job.folder, made)

    def failed(self, seat: Slot, cause: str, retryable: bool) -> bool:
        """Count a failure against the run, unless the output folder is what is wrong; whether it is tried again.

        What failed from a saved state is tried again from its start: the state may be the reason.
        """
        self._tools.folder.probe()
        self._forget_state(seat)
        count = self._failures[seat.id] = self._failures.get(seat.id, 0) + 1
        again = (retryable or seat.resumed) and count < self._tools.settings.max_failures
        if again:
            self._tools.counters.count("retries")
            self._close(seat, State.QUEUED, cause, failure=True, wait=self._tools.settings.wait_after(count))
        else:
            self._close(seat, State.FAILED, cause, failure=True)
        return again

    def dropped(self, seat: Slot, reason: str) -> None:
        """Cancel a run on its way, or let one go that was taken from this process."""
        if seat.attempt in self._tools.leases.lost:
            self.lost(seat)
        else:
            self._close(seat, State.CANCELLED, reason)
            self._forget_state(seat)

    def lost(self, seat: Slot) -> None:
        """Its lease ran out, so that it is somebody else's now: leave no trace."""
        self._tools.events.noted(f"{seat.id}: its lease ran out, and another worker may have it")
        self._leave(seat)

    def _refused(self, run: ResolvedRun, attempt: int, cause: str) -> None:
        """Fail a run that could not even be seated."""
        self._tools.ledger.attempts.finish(attempt, State.FAILED, cause, failure=True)
        self._tools.leases.drop(attempt)
        self._tools.events.changed(run.id, State.FAILED, cause)

    def put_back(self, seat: Slot, reason: str) -> None:
        """Let a run wait again, from its saved state where there is one. It is not the run's fault."""
        self._close(seat, State.PREEMPTED if seat.job.state.exists() else State.QUEUED, reason)

    def _close(self, seat: Slot, state: State, cause: str, *, failure: bool = False, wait: float = 0.0) -> None:
        steps = seat.step, seat.steps
        self._tools.ledger.attempts.finish(seat.attempt, state, cause, failure=failure, wait=wait, steps=steps)
        self._tools.events.changed(seat.id, state, cause)
        self._leave(seat)

    def _leave(self, seat: Slot) -> None:
        self._tools.leases.drop(seat.attempt)
        seat.landed = True
        shutil.rmtree(seat.job.folder, ignore_errors=True)

    def _forget_state(self, seat: Slot) -> None:
        with folder_errors(self._tools.folder.root):
            seat.job.state.unlink(missing_ok=True)
