"""Decide which runs join a running batch after a step, and which running runs are preempted for them.

Urgent runs join at once, if necessary in place of running runs that are not urgent. The run that loses least makes
way: of the lowest priority first; among equals the one with the most steps left. It is saved, so that no run loses
steps, only the time until a slot is free; that is the smallest part of the time of a run that would end last, and
the others free their slots for it soonest. Other runs take the capacity that is left, up to the batch that would
have been planned, unless a run that cannot join has the greater rank: then no run joins, and the batch ends
sooner. For an urgent run that cannot join the whole batch makes way, unless it has urgent runs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cosmos_batch.planning.batch_keys import KeyValues
from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.policies.priority import Rank
from cosmos_batch.run import Signature


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A run in a running batch."""

    id: str
    run_class: RunClass
    rank: Rank
    priority: int
    left: int  # denoising steps still to do


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting run that may join."""

    id: str
    run_class: RunClass
    rank: Rank
    alone: bool = False  # must not share a batch


@dataclass(frozen=True, slots=True)
class BatchCapacity:
    """The runs that a running batch can take."""

    controls: Signature  # the branches that are loaded
    capacity_left: Callable[[RunClass, Load], int]  # number of runs of a class that fit beside a load
    max_runs: int | None = None  # of the batch; None: not bounded
    closed: bool = False  # no run may join: its only run must be alone, or a faulty run is being isolated

    def accepts(self, candidate: Candidate, key: KeyValues) -> bool:
        """Whether a run can be in a batch with this batch key, if there is capacity for it."""
        fits = candidate.run_class.batch_key == key and set(candidate.run_class.signature) <= set(self.controls)
        return fits and not self.closed and not candidate.alone

    def full(self, running: Sequence[RunClass]) -> bool:
        """Whether no run can join runs of these classes, not even one of a single row without controls."""
        if self.closed or (self.max_runs is not None and len(running) >= self.max_runs):
            return True
        load = Load()
        for run_class in running:
            load.add(run_class, 1)
        return self.capacity_left(_lightest(running[0]), load) <= 0


@dataclass(frozen=True, slots=True)
class Join:
    """A run that joins, and the running runs that are preempted for it, by id."""

    id: str
    preempt: tuple[str, ...] = ()


@dataclass(slots=True)
class AdmissionDecision:
    """Which runs join after this step. Each counts on those before it: it has room only if they join, too."""

    joins: list[Join] = field(default_factory=list)
    displace: bool = False  # an urgent run waits that cannot join, and the running batch is to make way for it


def admit(
    running: Sequence[RunningRun], waiting: Iterable[Candidate], capacity: BatchCapacity
) -> AdmissionDecision:
    """Decide which runs join and which are preempted. `waiting` is sorted by rank, the greatest first."""
    decision = AdmissionDecision()
    if not running:
        return decision
    key = running[0].run_class.batch_key
    staying = list(running)
    barrier: Rank | None = None  # of a run that cannot join: no run of a lower rank joins before it
    for candidate in waiting:
        if barrier is not None and candidate.rank < barrier:
            break
        if not capacity.accepts(candidate, key):
            barrier = candidate.rank
        elif not _try_to_admit(candidate, staying, capacity, decision):
            break
    urgent_waits = barrier is not None and barrier.urgent
    decision.displace = urgent_waits and not any(run.rank.urgent for run in staying)
    return decision


@lru_cache(maxsize=256)
def _lightest(run_class: RunClass) -> RunClass:
    """A class whose runs share a batch with those of this class and need least of it."""
    return replace(run_class, signature=(), work=replace(run_class.work, rows=1, controls=0))


def _try_to_admit(
    candidate: Candidate, staying: list[RunningRun], capacity: BatchCapacity, decision: AdmissionDecision
) -> bool:
    """Admit a candidate if there is capacity, or preempting others makes some. Return whether it joins."""
    victims: list[RunningRun] = []
    remaining = list(staying)
    while not _has_capacity(candidate.run_class, remaining, capacity):
        victim = _victim(remaining) if candidate.rank.urgent else None
        if victim is None:
            return False
        remaining.remove(victim)
        victims.append(victim)
    staying[:] = [*remaining, RunningRun(candidate.id, candidate.run_class, candidate.rank, 0, 0)]
    decision.joins.append(Join(candidate.id, tuple(victim.id for victim in victims)))
    return True


def _has_capacity(run_class: RunClass, staying: Sequence[RunningRun], capacity: BatchCapacity) -> bool:
    if capacity.max_runs is not None and len(staying) >= capacity.max_runs:
        return not staying
    load = Load()
    for run in staying:
        load.add(run.run_class, 1)
    return capacity.capacity_left(run_class, load) > 0


def _victim(staying: Sequence[RunningRun]) -> RunningRun | None:
    """The run that loses least; see the module's description. None where every run is urgent."""
    others = [run for run in staying if not run.rank.urgent]
    return min(others, key=lambda run: (run.priority, -run.left), default=None)
