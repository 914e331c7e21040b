"""A fleet of devices on a virtual clock, whose workers decide as those of a service.

The scheduler, the planner, admission, priority, placement and quarantine are those of a service. Simulated are the
queue (`memory_queue`), the device (`device`) and time: an event is an arrival, a load, or the end of a segment of
a batch, in which no run joins or ends.

Up to `own_plans` workers each have a plan of their own, as in a service. More of them share one plan, since their
plans would be equal, and a run that arrives wakes the idle worker that placement prefers, as if all of them had
looked at the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import exp
from random import Random

from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.ports import OtherWorkers
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.gc_pause import gc_paused
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.quarantine import CrashHistory, quarantine_reason
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, ResolvedRun
from cosmos_batch.simulation.fleet.device import RunningSlot, SimulatedBatch, StepCosts
from cosmos_batch.simulation.fleet.failures import FailureEvents
from cosmos_batch.simulation.fleet.idle_workers import IdleWorkers
from cosmos_batch.simulation.fleet.memory_queue import QueueInMemory
from cosmos_batch.simulation.fleet.queue_reader import FleetCosts, FleetReader
from cosmos_batch.simulation.fleet.run_pool import RunPool, TrackedRun
from cosmos_batch.simulation.fleet.worker import SimulatedWorker
from cosmos_batch.simulation.policies import Policy
from cosmos_batch.simulation.records import BatchRecord, Records, Timeline, TraceTimes
from cosmos_batch.simulation.settings import Machines, SimulationSettings
from cosmos_batch.simulation.trace import Trace

_SHORTEST = 1e-3  # seconds that an idle worker waits at least, as in a service
_MEDIAN_OF_NORMAL = 0.6745  # median of the absolute value of a standard normal variable


class Fleet:
    """Runs a trace on so many devices under a policy."""

    def __init__(
        self,
        trace: Trace,
        gpus: int,
        engine: tuple[Traits, CostModel],
        policy: Policy,
        *,
        machines: Machines | None = None,
        settings: SimulationSettings | None = None,
        keep_batches: bool = False,
    ) -> None:
        """`engine`: its traits and its cost; `keep_batches`: record every batch."""
        traits, cost = engine
        self.policy = policy
        self.settings = settings or SimulationSettings()
        self.traits = policy.traits(traits)
        self.cost = cost
        self.machines = machines or Machines()
        self.claims_first = gpus > self.settings.own_plans
        self.many = OtherWorkers((0.0,) * (gpus - 1))
        self.step_costs = StepCosts(cost)
        self.now = 0.0
        self._trace = trace
        self._runs = RunPool(trace, self.traits, levels=policy.levels)
        self._queue = QueueInMemory(trace.facts)
        self._dice = Random(self.settings.seed)
        self._spread = (cost.error or 0.0) / _MEDIAN_OF_NORMAL
        span = float(trace.at[-1]) if len(trace) else 0.0
        self.records = Records(
            TraceTimes.of(len(trace)), Timeline(max(span, 1.0) / 120), batches=[] if keep_batches else None
        )
        self._heap: list[tuple[float, int, SimulatedWorker | None, int]] = []
        self._number = 0
        self._left = len(trace)
        self._busy = 0
        self._costs = FleetCosts(policy.cost(cost), policy.max_runs)
        self._waiting = self._waiting_runs()
        self._shared = self._planned_queue(self._waiting)
        self._idle = IdleWorkers()
        self._by_kind: dict[Kind, dict[SimulatedWorker, None]] = {}  # workers with a batch of normal runs, by kind
        self._urgent_possible = bool((trace.priorities >= Priority.URGENT).any()) and policy.levels
        self.workers = [SimulatedWorker(self, number) for number in range(gpus)]
        self._failures = FailureEvents(self, gpus, self._dice)

    # Making the parts of workers

    def _clock(self) -> float:
        return self.now

    def _waiting_runs(self) -> WaitingRuns:
        return WaitingRuns(FleetReader(self, None), self.traits, self._clock, float("inf"), self._runs)

    def _planned_queue(self, waiting: WaitingRuns) -> PlannedQueue:
        plans_with = self.policy.cost(self.cost)
        return PlannedQueue(waiting, self.traits, plans_with, self._costs, self.policy.scheduling, self._clock)

    def deciding(self, worker: SimulatedWorker) -> tuple[PlannedQueue, QueueScheduler]:
        """Return the queue and the scheduler of a worker's new process."""
        waiting = self._waiting if self.claims_first else self._waiting_runs()
        queue = self._shared if self.claims_first else self._planned_queue(waiting)
        reader = FleetReader(self, worker)
        scheduler = QueueScheduler(
            reader, queue, waiting, self._costs, self.traits, self.settings.poll, self._clock
        )
        return queue, scheduler

    @property
    def queue(self) -> QueueInMemory:
        """The queue of waiting runs."""
        return self._queue

    @property
    def idle(self) -> IdleWorkers:
        """The workers that wait for work."""
        return self._idle

    # The loop

    def run(self) -> Records:
        """Simulate until every run has ended, and return the records."""
        with gc_paused():
            for worker in self.workers:
                worker.turn(0.0)
            self._loop()
        return self.records

    def _loop(self) -> None:
        arrivals, heap = self._trace.at.tolist(), self._heap
        place, count = 0, len(arrivals)
        timeline = self.records.timeline
        due = timeline.due
        while self._left:
            arrival = arrivals[place] if place < count else float("inf")
            if heap and heap[0][0] <= arrival:
                when, _, worker, version = heappop(heap)
                if worker is not None and version != worker.version:
                    continue
            else:
                when, worker, version = arrival, None, -1
            if when >= due:
                timeline.add(when, len(self._queue), self._busy, self.records.totals.loads)
                due = timeline.due
            self.now = when
            if version == -1:
                self._arrive(place)
                place += 1
            elif worker is None:
                self._failures.happen(version, when)
            else:
                self._go_on(worker, when)
        timeline.add(self.now, len(self._queue), self._busy, self.records.totals.loads)

    def _go_on(self, worker: SimulatedWorker, now: float) -> None:
        if worker.batch is not None and not worker.loading:
            worker.segment_over(now)
        elif worker.loading:
            worker.loaded(now)
        else:
            worker.turn(now)
        if self.claims_first:
            self._wake_for_plan()

    def at(self, when: float, worker: SimulatedWorker) -> None:
        """Let a worker go on at a time; what was planned for it before is void."""
        worker.version += 1
        self._number += 1
        heappush(self._heap, (when, self._number, worker, worker.version))

    def plan_failure(self, when: float, number: int) -> None:
        """Let the failure of that number happen at a time."""
        self._number += 1
        heappush(self._heap, (when, self._number, None, number))

    # Runs

    def _arrive(self, place: int) -> None:
        self._put(self._runs.arrive(place))

    def _put(self, tracked: TrackedRun) -> None:
        self._queue.put(tracked.run, tracked.created, crashes=tracked.crashes)
        self._wake(tracked.run)

    def slot(self, run: ResolvedRun) -> RunningSlot:
        """Return a slot for a claimed run."""
        tracked = self._runs.tracked(run.id)
        run_class = self._runs.run_class(run)
        step, coding = self.step_costs.of(run_class)
        return RunningSlot(run, run_class, tracked.place, step, coding, tracked.done, tracked.breaks_at)

    def claim(self, worker: SimulatedWorker, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """Claim those of the runs that wait.

        Others see that at their next step, where a run may join that a claimed one was to precede.
        """
        claimed = self._queue.claim(runs)
        if claimed and self.traits.steppable and not self.claims_first and len(self._queue):
            for other in self.workers:
                if other is not worker:
                    other.interrupt(self.now)
        return claimed

    def begins(self, worker: SimulatedWorker, runs: Sequence[ResolvedRun], now: float, *, joined: bool) -> None:
        """Record that claimed runs begin."""
        totals = self.records.totals
        totals.joins += len(runs) if joined else 0
        totals.batches += not joined
        tracked = [self._runs.tracked(run.id) for run in runs]
        for each in tracked:
            if not each.begun:
                each.begun = True
                self.records.times.began[each.place] = now
        if self.records.batches is not None:
            places = tuple([each.place for each in tracked])
            self.records.batches.append(BatchRecord(now, worker.number, places, joined))

    def finish(self, slot: RunningSlot, now: float) -> None:
        """Record that a run has its video."""
        self._end(slot.run, now, failed=False)

    def refuse(self, run_id: str, now: float) -> None:
        """Record that the engine cannot make a waiting run."""
        self._queue.drop(run_id)
        self.records.totals.refused += 1
        self._end(self._runs.tracked(run_id).run, now, failed=True)

    def _end(self, run: ResolvedRun, now: float, *, failed: bool) -> None:
        place = self._runs.end(run)
        self.records.times.ended[place] = now
        self.records.times.failed[place] = failed
        self._left -= 1

    def requeue(self, slot: RunningSlot, done: int, *, preempted: bool = False) -> None:
        """Let a run wait again, with so many denoising steps in its checkpoint."""
        totals = self.records.totals
        totals.preemptions += preempted
        totals.lost_steps += max(0, slot.done - done)
        tracked = self._runs.tracked(slot.run.id)
        tracked.done = done
        self._put(tracked)

    def any_suspect(self, runs: Sequence[ResolvedRun]) -> bool:
        """Whether one of the runs has crashed a worker."""
        return self.records.totals.crashes > 0 and any(self._runs.tracked(run.id).crashes for run in runs)

    # Workers

    def deviation(self) -> float:
        """Return the factor by which a batch takes longer than predicted, by the error that the costs state."""
        return exp(self._dice.gauss(0.0, self._spread)) if self._spread else 1.0

    def loads(self, worker: SimulatedWorker, seconds: float) -> None:
        """Record a load."""
        self.records.totals.loads += 1
        self.records.totals.load_seconds += seconds
        self._begins_work(worker)

    def foreseen(self, worker: SimulatedWorker, now: float) -> float:
        """Return how many seconds of a load are done, since the future is known."""
        return now - worker.last_idle if self.policy.foresight else 0.0

    def runs_segment(self, worker: SimulatedWorker, batch: SimulatedBatch, now: float) -> None:
        """Let a worker's batch be denoised up to the next end of a run."""
        self.at(batch.begin_segment(now), worker)
        self._begins_work(worker)
        if self._urgent_possible and self.claims_first and worker.holds is not None:
            workers = self._by_kind.setdefault(worker.holds, {})
            if any(slot.run.priority >= Priority.URGENT for slot in batch.slots.values()):
                workers.pop(worker, None)
            else:
                workers[worker] = None

    def _begins_work(self, worker: SimulatedWorker) -> None:
        if worker.busy_since is None:
            worker.busy_since = self.now
            self._busy += 1

    def batch_over(self, worker: SimulatedWorker) -> None:
        """Note that a worker has no batch any more."""
        if self._urgent_possible and worker.holds is not None:
            self._by_kind.get(worker.holds, {}).pop(worker, None)

    def idles(self, worker: SimulatedWorker, now: float, seconds: float) -> None:
        """Let a worker wait until something changes, or until time alone may bring work."""
        self._ends_work(worker)
        worker.idle_since = worker.last_idle = now
        worker.version += 1
        self._idle.add(worker)
        later = worker.queue.next_in()
        if later <= 0 or (worker.queue.kinds and not self.claims_first):
            later = max(seconds, self.settings.poll)
        worker.wakes = now + max(later, _SHORTEST)
        if later < float("inf"):
            self.at(worker.wakes, worker)

    def ends_idling(self, worker: SimulatedWorker) -> None:
        """Note that a worker looks at the queue."""
        self._idle.remove(worker)
        worker.idle_since = None

    def _ends_work(self, worker: SimulatedWorker) -> None:
        if worker.busy_since is not None:
            self.records.totals.busy_seconds += self.now - worker.busy_since
            worker.busy_since = None
            self._busy -= 1

    def _wake(self, run: ResolvedRun) -> None:
        """Let workers look at the queue, in which a run waits."""
        if not self.claims_first:
            self._wake_all(run)
            return
        run_class = self._runs.run_class(run)
        worker = self._idle.best(Kind(run_class.launch_key, run_class.signature))
        if worker is not None:
            worker.turn(self.now)
        elif run.priority >= Priority.URGENT and self._urgent_possible:
            self._interrupt_one(Kind(run_class.launch_key, run_class.signature))

    def _wake_all(self, run: ResolvedRun) -> None:
        urgent = run.priority >= Priority.URGENT and self.policy.levels
        run_class = self._runs.run_class(run)
        poll = self.settings.poll
        for worker in self.workers:
            if worker.idle_since is not None:
                polls = -(-(self.now - worker.idle_since) // poll)
                when = worker.idle_since + polls * poll
                if when < worker.wakes:
                    worker.wakes = when
                    self.at(when, worker)
            elif urgent or worker.takes(run_class):
                worker.interrupt(self.now)

    def _wake_for_plan(self) -> None:
        """Wake idle workers for launches that were planned and have not begun."""
        while self._idle:
            kinds = self._shared.kinds
            if not kinds:
                return
            worker = self._idle.best(kinds[0])
            if worker is None or worker.wakes <= self.now:
                return
            worker.turn(self.now)
            if worker.idle:
                return

    def _interrupt_one(self, kind: Kind) -> None:
        """Let one worker make way for an urgent run: one that holds its kind, else any."""
        for workers in (self._by_kind.get(kind), *self._by_kind.values()):
            if workers:
                worker = next(iter(workers))
                del workers[worker]
                worker.interrupt(self.now)
                return

    # Failures

    def crashed(self, worker: SimulatedWorker, broken: RunningSlot, now: float) -> None:
        """A run has crashed its worker: its batch waits again, and the worker gets a new process."""
        batch = worker.batch
        assert batch is not None
        self.records.totals.crashes += 1
        slots, alone = list(batch.slots.values()), len(batch.slots) == 1
        steps = {slot.run.id: batch.saved_at_end(slot, self.settings.save_every) for slot in slots}
        self._stop(worker, now)
        self.at(now + self.machines.restart, worker)
        for slot in slots:
            tracked = self._runs.tracked(slot.run.id)
            history = CrashHistory(tracked.crashes, tracked.lone_crashes, tracked.crash_step)
            reason = quarantine_reason(history, slot.done, alone, "simulated")
            tracked.crashes += 1
            tracked.lone_crashes += alone
            tracked.crash_step = slot.done if alone else tracked.crash_step
            if reason:
                self.records.totals.quarantined += 1
                self._end(slot.run, now, failed=True)
            else:
                self.requeue(slot, min(steps[slot.run.id], slot.done))
        assert broken in slots

    def stop(self, worker: SimulatedWorker, now: float, *, saved: bool) -> list[tuple[RunningSlot, int]]:
        """End a worker's process on a machine that goes; return its runs with the steps of their checkpoints."""
        found = worker.stop(now, saved=saved)
        self._stop(worker, now)
        worker.alive = False
        return found

    def _stop(self, worker: SimulatedWorker, now: float) -> None:
        if worker.idle_since is not None:
            self.ends_idling(worker)
        self.batch_over(worker)
        self._ends_work(worker)
        if worker.alive:
            worker.stop(now, saved=False)
        worker.begin_process()

    def restart(self, worker: SimulatedWorker, now: float) -> None:
        """Begin a worker's process on a machine that came back."""
        worker.alive = True
        worker.turn(now)
