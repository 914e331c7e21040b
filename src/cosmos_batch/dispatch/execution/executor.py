"""The executor: carries decisions out on an engine session, and reports outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace

from cosmos_batch.dispatch.contract import (
    Action,
    Admit,
    BatchBroke,
    BatchEnd,
    BatchEnded,
    Close,
    Displace,
    EngineBroke,
    Failed,
    Idle,
    LaunchFailed,
    Outcome,
    PredictedCost,
    Preload,
    Refuse,
    Refused,
    Requeued,
    Reserved,
    SessionReady,
    Snapshot,
    Start,
    Step,
    Suspend,
    Switch,
)
from cosmos_batch.dispatch.execution.attempts import AttemptRecorder
from cosmos_batch.dispatch.execution.batch import RunningBatch
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.execution.finishing import FinishingRuns
from cosmos_batch.dispatch.execution.record import inspect_output
from cosmos_batch.dispatch.execution.recovery import recover
from cosmos_batch.dispatch.execution.session import EngineSession
from cosmos_batch.dispatch.execution.slots import ClaimedBatch
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.engines.base import Engine
from cosmos_batch.errors import (
    CosmosBatchError,
    LedgerError,
    OutOfMemoryError,
    StorageError,
    UnavailableError,
    explain,
)
from cosmos_batch.planning.plan import Batch, Launch


@dataclass(frozen=True, slots=True)
class _Current:
    """The batch whose runs need the device."""

    claimed: ClaimedBatch
    running: RunningBatch
    closed: bool  # a part of a batch that broke: it admits no run


class BatchExecutor:
    """Executes batches, one at a time, while outputs of earlier ones are finished. Main thread only."""

    def __init__(
        self,
        engine: Engine,
        context: DispatchContext,
        attempts: AttemptRecorder,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._context = context
        self._attempts = attempts
        self._sleep = sleep
        self._session = EngineSession(engine, attempts.launched, context.clock)
        self._finishing = FinishingRuns(context.clock, context.checks, lambda slot: inspect_output(slot, context))
        self._current: _Current | None = None
        self._reserved: dict[tuple[str, ...], ClaimedBatch] = {}  # by run ids: begun by a later Start
        self._switch: Switch | None = None  # to be done when a batch of its launch begins
        self._checkpoints = self._new_checkpoints()

    def snapshot(self) -> Snapshot:
        """Return what is running, what is finishing, and whether a session is open."""
        views = self._current.running.views(self._context.leases.lost) if self._current else ()
        return Snapshot(views, self._finishing.run_ids, self._session.current is not None)

    def apply(self, decision: Action) -> Iterator[Outcome]:
        """Carry a decision out. Raises StorageError, LedgerError and UnavailableError."""
        match decision:
            case Start():
                yield from self._start(decision)
            case Step():
                yield from self._step(decision)
            case Switch():
                self._switch = decision
            case Displace():
                yield from self._displace(decision)
            case Suspend(reason=reason):
                yield from self._suspend(reason)
            case Close():
                yield from self._close()
            case Refuse(reasons=reasons):
                yield from (Refused(run_id, reason) for run_id, reason in reasons.items())
            case Preload(launch=launch):
                yield from self._preload(launch)
            case Idle(seconds=seconds):
                self._sleep(seconds)

    def drain(self, reason: str) -> Iterator[Outcome]:
        """Preempt the running runs, wait for the finishing ones, and close the session."""
        yield from self._suspend(reason)
        while self._finishing.run_ids:
            yield from self._close()
        yield from self._close()

    def abandon(self, reason: str) -> Iterator[Outcome]:
        """Close the session at once; runs wait again from their checkpoints, written outputs are published."""
        yield from self._suspend(reason)
        yield from self._give_up_finishing(reason)

    # Decisions

    def _start(self, decision: Start) -> Iterator[Outcome]:
        """Claim a batch and let it begin. Nothing is loaded for a batch that another worker has claimed."""
        batch = decision.launch.batches[0]
        if _key(batch) not in self._reserved:
            loads = self._session.current is None or self._switch is not None
            load_seconds = decision.launch.load_seconds if loads else 0.0
            self._claim(batch, replace(decision.cost, load_seconds=load_seconds), decision.failures)
        for part, cost in decision.reserve:
            self._claim(part, cost, decision.failures)
        if _key(batch) in self._reserved:
            yield from self._make_ready(decision.launch, decision.failures)
        session, claimed = self._session.current, self._reserved.pop(_key(batch), None)
        if session is None or claimed is None:
            return
        if decision.prefetch is not None:
            runs = [slot.run for slot in claimed.slots]
            self._context.digest.fetcher.expect(decision.prefetch)
            session.prefetch([*runs, *decision.prefetch], certain=decision.certain)
        running = RunningBatch(session, claimed.number, self._finishing, self._checkpoints, self._context.clock)
        self._current = _Current(claimed, running, decision.closed)
        self._attempts.begin(claimed)
        yield from self._guarded(running.join(claimed.slots))

    def _claim(self, batch: Batch, cost: PredictedCost, failures: Mapping[str, int]) -> None:
        if (claimed := self._attempts.claim(batch, cost, failures)) is not None:
            self._reserved[_key(batch)] = claimed

    def _make_ready(self, launch: Launch, failures: Mapping[str, int]) -> Iterator[Outcome]:
        """Open a session for a launch, or switch the open one if that was asked for."""
        session, switch = self._session.current, self._switch
        self._switch = None
        if session is None:
            yield from self._ready(launch, failures, lambda: self._session.open(launch))
        elif switch is not None:
            yield from self._ready(
                switch.launch, switch.failures, lambda: self._session.switch(session, switch.launch)
            )

    def _preload(self, launch: Launch) -> Iterator[Outcome]:
        """Load what a launch needs. The engine keeps it when the session is closed."""
        try:
            ready = self._session.open(launch)
        except (StorageError, LedgerError, UnavailableError):
            raise
        except CosmosBatchError as exc:
            yield LaunchFailed(launch, exc, 0)
        else:
            yield ready
            yield from self._session.close()

    def _ready(
        self, launch: Launch, failures: Mapping[str, int], start: Callable[[], SessionReady]
    ) -> Iterator[Outcome]:
        """Open or switch the session. Where that fails, close it, and requeue what it was finishing."""
        try:
            ready = start()
        except (StorageError, LedgerError, UnavailableError):
            raise
        except CosmosBatchError as exc:
            yield from self._release_reserved("its launch failed")
            yield from self._give_up_finishing("its launch failed")
            yield LaunchFailed(launch, exc, max(failures.values(), default=0))
        else:
            self._checkpoints = self._new_checkpoints()
            yield ready

    def _step(self, decision: Step) -> Iterator[Outcome]:
        if (current := self._current) is not None:
            yield from self._guarded(self._take_step(current, decision))

    def _take_step(self, current: _Current, decision: Step) -> Iterator[Outcome]:
        running = current.running
        for run_id in decision.cancel:
            yield running.cancel(run_id)
        for admit in decision.admit:
            joined = yield from self._admit(current, admit)
            if joined < len(admit.runs):
                break
        if decision.prefetch is not None and (session := self._session.current) is not None:
            self._context.digest.fetcher.expect(decision.prefetch)
            session.prefetch(decision.prefetch, certain=decision.certain)
        if running.running:
            yield from running.advance()

    def _admit(self, current: _Current, admit: Admit) -> Generator[Outcome, None, int]:
        """Claim runs, preempt others for them, and let them join. Returns how many join."""
        claimed = current.claimed
        wanted = Batch(admit.runs, claimed.batch.shape, admit.cost.seconds, admit.cost.bytes)
        joining = self._attempts.claim(wanted, admit.cost, admit.failures, claimed.number)
        if joining is None or not joining.slots:
            return 0
        for run_id in admit.preempt:
            yield current.running.preempt(run_id)
        self._attempts.begin(joining, joined=True)
        yield from current.running.join(joining.slots)
        return len(joining.slots)

    def _displace(self, decision: Displace) -> Iterator[Outcome]:
        claimed = self._attempts.claim(decision.batch, decision.cost, decision.failures)
        if claimed is None:
            return
        if not claimed.slots:
            yield BatchEnded(claimed.number, claimed.batch, BatchEnd.SUSPENDED, "no run of it can begin")
            return
        yield from self._release_reserved("an urgent run is first")
        self._reserved[_key(claimed.batch)] = claimed
        if (current := self._current) is not None:
            for view in current.running.views():
                yield current.running.preempt(view.run_id)
            yield from self._end_when_denoised()
        yield Reserved(claimed.batch)

    def _suspend(self, reason: str) -> Iterator[Outcome]:
        current, self._current = self._current, None
        if current is not None:
            yield from current.running.suspend(reason)
            yield BatchEnded(current.claimed.number, current.claimed.batch, BatchEnd.SUSPENDED, reason)
        yield from self._release_reserved(reason)

    def _release_reserved(self, reason: str) -> Iterator[Outcome]:
        while self._reserved:
            _, claimed = self._reserved.popitem()
            yield from (Requeued(slot, reason) for slot in claimed.slots)
            yield BatchEnded(claimed.number, claimed.batch, BatchEnd.SUSPENDED, reason)

    def _close(self) -> Iterator[Outcome]:
        session = self._session.current
        if session is None or not self._finishing.run_ids:
            yield from self._session.close()
            return
        try:
            yield from self._finishing.wait_for_one(session)
        except (StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            yield from self._session.close()
            yield from self._finishing.end_written()
            yield from self._finishing.fail(explain(exc))
            yield EngineBroke(explain(exc), foreign=not isinstance(exc, CosmosBatchError))

    def _give_up_finishing(self, reason: str) -> Iterator[Outcome]:
        """Publish what is written, requeue the other finishing runs, and close the session."""
        yield from self._finishing.end_written()
        yield from self._finishing.requeue(reason, self._session.current)
        yield from self._session.close()

    # Batches that end or break

    def _guarded(self, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Pass on the outcomes of what uses the engine. An error of the engine ends the batch."""
        try:
            yield from outcomes
        except OutOfMemoryError as exc:
            yield from self._out_of_memory(str(exc) or "out of memory")
        except (StorageError, LedgerError, UnavailableError):
            raise
        except Exception as exc:
            yield from self._crashed(explain(exc), foreign=not isinstance(exc, CosmosBatchError))
        else:
            yield from self._end_when_denoised()

    def _end_when_denoised(self) -> Iterator[Outcome]:
        current = self._current
        if current is not None and not current.running.running:
            self._current = None
            yield BatchEnded(current.claimed.number, current.claimed.batch, BatchEnd.DENOISED)

    def _out_of_memory(self, cause: str) -> Iterator[Outcome]:
        current, self._current = self._current, None
        assert current is not None
        current.running.hand_over()
        yield from current.running.save_and_leave()
        yield BatchEnded(current.claimed.number, current.claimed.batch, BatchEnd.OUT_OF_MEMORY, cause)
        yield from self._recover(current, BatchEnd.OUT_OF_MEMORY, cause)

    def _crashed(self, cause: str, *, foreign: bool) -> Iterator[Outcome]:
        current, self._current = self._current, None
        assert current is not None
        yield BatchEnded(current.claimed.number, current.claimed.batch, BatchEnd.CRASHED, cause)
        yield from self._session.close()
        yield from self._finishing.end_written()
        yield from self._finishing.requeue(f"the engine broke before it was finished: {cause}", None)
        yield from self._recover(current, BatchEnd.CRASHED, cause, foreign=foreign)

    def _recover(
        self, current: _Current, end: BatchEnd, cause: str, *, foreign: bool = False
    ) -> Iterator[Outcome]:
        """Requeue or fail the runs that were in a batch, and report what is made again of it."""
        batch, steps = current.claimed.batch, {view.run_id: view.step for view in current.running.views()}
        slots = current.running.forget()
        recovery = recover(end, cause, batch, [slot.run for slot in slots], current.closed)
        for slot in slots:
            if recovery.failure:
                yield Failed(slot, recovery.failure, retryable=False)
            else:
                yield Requeued(slot, cause)
        yield BatchBroke(batch, end, cause, steps, foreign, recovery.parts, recovery.reserve)

    def _new_checkpoints(self) -> Throttle:
        return Throttle(self._context.settings.save_every, self._context.clock)


def _key(batch: Batch) -> tuple[str, ...]:
    return tuple(run.id for run in batch.runs)
