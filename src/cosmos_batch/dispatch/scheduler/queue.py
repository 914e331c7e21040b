"""Queue scheduler of a service's worker: which launch begins next, and what happens between two steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from cosmos_batch.dispatch.contract import (
    BatchBroke,
    Close,
    Decision,
    Displace,
    Done,
    EngineBroke,
    ExitCode,
    Idle,
    LaunchFailed,
    Outcome,
    Preload,
    Refuse,
    Reserved,
    Snapshot,
    Start,
    Step,
    Suspend,
    Switch,
)
from cosmos_batch.dispatch.scheduler.between_steps import BatchInfo, KnownRuns, StepDecisions
from cosmos_batch.dispatch.scheduler.launch_cursor import LaunchCursor
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.ports import CostSource, QueueReader
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.errors import EngineLostError
from cosmos_batch.ledger import Mode
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits


@dataclass(frozen=True, slots=True)
class _UrgentLaunch:
    """A launch that takes the place of the running batch."""

    launch: Launch
    known: KnownRuns  # what is known of its runs, which wait no more once they are claimed


class QueueScheduler:
    """Decides for one worker of a queue that other workers may take from, too."""

    def __init__(
        self,
        reader: QueueReader,
        queue: PlannedQueue,
        waiting: WaitingRuns,
        costs: CostSource,
        traits: Traits,
        poll: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`poll`: seconds between two looks at a queue in which nothing can begin."""
        self._reader = reader
        self._queue = queue
        self._waiting = waiting
        self._costs = costs
        self._traits = traits
        self._poll = poll
        self._clock = clock
        self._cursor = LaunchCursor(costs.max_runs, queue.planner.batch_seconds, queue.planner.alone_seconds)
        self._known = KnownRuns()
        self._steps: StepDecisions | None = None  # of the running batch
        self._left_since: float | None = None  # urgent runs have been left to an idle worker since then
        self._seen = -1  # latest change of the queue that a decision has taken account of
        self._broken = False  # the engine broke, so that this process must end
        self._preloads = True  # nothing has failed to be loaded ahead of runs
        self._displacing: _UrgentLaunch | None = None  # its first batch is to be claimed
        self._reserved: _UrgentLaunch | None = None  # its first batch is claimed, and starts next

    def decide(self, snapshot: Snapshot) -> Decision:
        """Read the queue, then decide. Raises LedgerError."""
        if self._broken:
            return Done(ExitCode.BROKEN)
        if refused := self._queue.take_refused():
            return Refuse(refused)
        if snapshot.running:
            return self._step(snapshot)
        if self._reserved is not None:
            return self._begin_reserved(self._reserved, snapshot)
        if (start := self._cursor.next()) is not None:
            return self._start(start)
        return self._next_launch(snapshot)

    def observe(self, outcome: Outcome) -> None:
        """Take the parts of a broken batch back, and note a broken engine."""
        match outcome:
            case BatchBroke():
                self._cursor.broke(outcome)
                self._broken |= outcome.foreign
            case EngineBroke():
                self._broken |= outcome.foreign
            case Reserved(batch=batch):
                assert self._displacing is not None
                launch = replace(self._displacing.launch, batches=(batch,))
                self._reserved = _UrgentLaunch(launch, self._displacing.known)
            case LaunchFailed():
                self._broken |= isinstance(outcome.error, EngineLostError)
                self._queue.holds(None)
                self._preloads &= bool(outcome.launch.batches)
                self._end_launch()

    def reset(self) -> None:
        """Forget the launch at work: those of its runs that wait gather again."""
        self._end_launch()
        self._broken = False

    # Between launches

    def _next_launch(self, snapshot: Snapshot) -> Decision:
        poll = self._reader.poll()
        if poll.mode is not Mode.RUNNING:
            self._end_launch()
            return Close() if snapshot.session_open else Done(ExitCode.AWAY)
        self._queue.refresh(poll.latest)
        self._seen = poll.latest
        if snapshot.session_open:
            launch = self._launch_in_same_session()
            return Close() if launch is None else self._begin(launch, self._known_of(launch), switch=True)
        self._end_launch()
        self._queue.see_others(self._reader.other_workers())
        launch = self._queue.next()
        if launch is not None:
            return self._begin(launch, self._known_of(launch), switch=False)
        if refused := self._queue.take_refused():
            return Refuse(refused)
        return self._preload() or Idle(max(0.001, min(self._poll, self._queue.next_in())))

    def _preload(self) -> Preload | None:
        """Load what the next expected run needs, if no run waits that could begin."""
        queue, others = self._queue, self._queue.others
        if not (self._preloads and self._traits.steppable) or queue.next_in() < inf:
            return None  # what was loaded would not be kept, or a run waits
        kind = queue.rules.kind_to_load(queue.loaded, others, queue.cost)
        if kind is None:
            return None
        self._queue.holds(kind)
        return Preload(Launch(0, kind.controls, (), 0.0, "expected next", kind.key))

    def _launch_in_same_session(self) -> Launch | None:
        """Return the next launch, if it may share the session whose outputs are still being written.

        A run that must be alone shares with none: no other output may be open when it crashes the worker.
        """
        if not self._traits.steppable or self._known.suspects:
            return None
        if self._cursor.launch is not None:
            self._queue.end(self._cursor.launch)
        self._queue.see_others(self._reader.other_workers())
        return self._queue.next(same_session=True)

    def _known_of(self, launch: Launch) -> KnownRuns:
        known = KnownRuns()
        known.add(launch.runs, self._waiting)
        return known

    def _begin_reserved(self, urgent: _UrgentLaunch, snapshot: Snapshot) -> Decision:
        """Start a launch that is claimed, in a session of its own where it or the last one has a suspect."""
        if snapshot.session_open and (urgent.known.suspects or self._known.suspects):
            return Close()
        if self._cursor.launch is not None:
            self._queue.end(self._cursor.launch)
        self._reserved = None
        return self._begin(urgent.launch, urgent.known, switch=snapshot.session_open)

    def _begin(self, launch: Launch, known: KnownRuns, *, switch: bool) -> Decision:
        before, kind = self._cursor.launch, launch.kind
        self._known = known
        self._cursor.begin(launch, dict(known.failures))
        if self._traits.steppable:  # what a session has loaded stays loaded when the session is closed
            self._queue.holds(kind)
        if switch and before is not None and before.kind != kind:
            return Switch(launch, self._cursor.failures)
        start = self._cursor.next()
        assert start is not None  # a planned launch has runs
        return self._start(start)

    def _end_launch(self) -> None:
        if self._cursor.launch is not None:
            self._queue.end(self._cursor.launch)
        self._cursor.end()
        self._known = KnownRuns()
        self._steps = None
        self._displacing = self._reserved = None

    def _start(self, start: Start) -> Start:
        """Complete a start: what it prefetches, and how the steps of its batch are decided."""
        batch = start.launch.batches[0]
        alone = bool(self._known.suspects) and any(run.id in self._known.suspects for run in batch.runs)
        info = BatchInfo(batch.shape, start.launch.controls, start.closed or alone)
        self._steps = StepDecisions(
            info, self._known, self._queue, self._waiting, self._costs.max_runs, self._clock
        )
        if start.prefetch is None or self._cursor.waiting:
            return start
        upcoming = self._queue.upcoming() if self._traits.steppable and not self._known.suspects else ()
        certain = not self._queue.others.busy
        return Start(start.launch, start.cost, start.failures, start.reserve, start.closed, upcoming, certain)

    # Between steps

    def _step(self, snapshot: Snapshot) -> Decision:
        assert self._steps is not None
        poll = self._reader.poll()
        self._queue.refresh(poll.latest)
        changed, self._seen = poll.latest != self._seen, poll.latest
        requested = set(self._reader.cancel_requests()) if changed else set()
        cancel = [slot.run_id for slot in snapshot.running if slot.lost or slot.run_id in requested]
        if not self._traits.steppable:
            return Step(tuple(cancel))
        if poll.mode is Mode.PAUSED:
            self._end_launch()
            return Suspend("the queue is paused")
        running = poll.mode is Mode.RUNNING
        step = self._steps.step(snapshot.running, cancel, changed=changed, admitting=running)
        if self._leaves_urgent(step):
            return self._steps.without_preemption(step)
        displace = self._displace() if self._steps.displace and not (step.cancel or step.admit) else None
        return displace or step

    def _leaves_urgent(self, step: Step) -> bool:
        """Whether urgent runs that others would make way for are left, for a moment, to an idle worker."""
        if not self._steps or not (self._steps.displace or any(admit.preempt for admit in step.admit)):
            return False
        if not self._reader.other_workers().idle:
            self._left_since = None
            return False
        if self._left_since is None:
            self._left_since = self._clock()
        return self._clock() < self._left_since + self._queue.leave

    def _displace(self) -> Displace | None:
        """Claim the first batch of the next urgent launch, so that it takes the place of the running batch."""
        launch = self._queue.next_urgent()
        if launch is None:
            return None
        batch, known = self._cursor.first_part(launch.batches[0]), self._known_of(launch)
        self._queue.end(launch)  # where another worker is faster, or the batch was cut, what is left gathers again
        self._displacing = _UrgentLaunch(launch, known)
        return Displace(batch, self._cursor.cost(batch), known.failures)
