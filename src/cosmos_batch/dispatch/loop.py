"""The dispatcher: the only loop, for a command and for a service's worker.

One turn: the scheduler decides, execution applies the decision; the recorder records each outcome as it happens,
and the scheduler observes it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from cosmos_batch.dispatch.contract import (
    Action,
    Decision,
    Done,
    Execution,
    ExitCode,
    Recorder,
    Scheduler,
    Snapshot,
)
from cosmos_batch.dispatch.settings import StopToken
from cosmos_batch.errors import CosmosBatchError


class Monitor(Protocol):
    """Shows others what dispatching does: by reports to the ledger, or a manifest."""

    def deciding(self, snapshot: Snapshot) -> None:
        """Do what is due before a decision."""

    def decided(self, decision: Decision) -> None:
        """Take note of a decision before it is applied."""


class Dispatcher:
    """Makes decisions and carries them out until a stop is requested or the scheduler is done."""

    def __init__(
        self, scheduler: Scheduler, execution: Execution, recorder: Recorder, monitor: Monitor, stop: StopToken
    ) -> None:
        self._scheduler = scheduler
        self._execution = execution
        self._recorder = recorder
        self._monitor = monitor
        self._stop = stop

    def run(self) -> ExitCode:
        """Dispatch until the end. Raises StorageError, LedgerError, UnavailableError and EngineError.

        After an error every run of this process waits again, as far as the ledger could be written, and `run`
        may be called again.
        """
        try:
            exit_code = self._loop()
            for outcome in self._execution.drain(self._stop.reason):
                self._recorder.record(outcome)
        except CosmosBatchError as exc:
            self._abandon(str(exc))
            raise
        finally:
            self._scheduler.reset()
        return exit_code

    def _loop(self) -> ExitCode:
        while not self._stop.requested:
            decision = self.decide()
            if isinstance(decision, Done):
                return decision.exit_code
            self.apply(decision)
        return ExitCode.STOPPED

    def decide(self) -> Decision:
        """Do the first half of a turn: the scheduler decides."""
        snapshot = self._execution.snapshot()
        self._monitor.deciding(snapshot)
        decision = self._scheduler.decide(snapshot)
        self._monitor.decided(decision)
        return decision

    def apply(self, decision: Action) -> None:
        """Do the second half of a turn: carry a decision out, and record and observe its outcomes."""
        for outcome in self._execution.apply(decision):
            self._recorder.record(outcome)
            self._scheduler.observe(outcome)

    def _abandon(self, reason: str) -> None:
        """Requeue what can be requeued; a restart or the expiry of leases does the rest."""
        for outcome in self._execution.abandon(reason):
            with suppress(CosmosBatchError):
                self._recorder.record(outcome)
        with suppress(CosmosBatchError):
            self._recorder.release(reason)
