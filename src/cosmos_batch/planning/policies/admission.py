"""Who joins a running batch at a step's end, and who is set aside for it: a pure decision.

Urgent runs come in at once, where need be in the place of others: of those with the lowest priority, and among
these of the ones with the most steps left. Other runs take what room is left, up to the batch that would have been
planned, unless a run that cannot join has waited for its turn longer: then the batch is let run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

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
    left: int  # denoising steps


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that waits."""

    id: str
    run_class: RunClass
    rank: Rank
    alone: bool = False  # it must not share a batch


@dataclass(frozen=True, slots=True)
class BatchCapacity:
    """What a running batch can take."""

    controls: Signature  # the branches that are loaded
    capacity_left: Callable[[RunClass, Load], int]  # how many more of a kind fit beside a load
    max_runs: int | None = None  # runs at most; None: as many as there is room for
    closed: bool = False  # nobody may join: the run aboard must be alone, or a bad one is looked for

    def takes(self, candidate: Candidate, key: tuple[object, ...]) -> bool:
        """Whether a run is of the kind that can be in a batch with such a key."""
        fits = candidate.run_class.batch_key == key and set(candidate.run_class.signature) <= set(self.controls)
        return fits and not self.closed and not candidate.alone


@dataclass(slots=True)
class AdmissionDecision:
    """What is to happen at this step's end."""

    join: list[str] = field(default_factory=list)
    preempt: list[str] = field(default_factory=list)


def admit(aboard: Sequence[RunningRun], waiting: Iterable[Candidate], cabin: BatchCapacity) -> AdmissionDecision:
    """Who joins and who is set aside. `waiting` comes by rank, the greatest first."""
    verdict = AdmissionDecision()
    if not aboard:
        return verdict
    key = aboard[0].run_class.batch_key
    staying = list(aboard)
    barrier: Rank | None = None  # of a run that cannot join: nobody of a lower rank gets in before it
    for candidate in waiting:
        if barrier is not None and candidate.rank < barrier:
            break
        if not cabin.takes(candidate, key):
            barrier = candidate.rank
        elif not _admit(candidate, staying, cabin, verdict):
            break
    if barrier is not None and barrier.urgent:
        verdict.preempt += [seat.id for seat in staying if not seat.rank.urgent]
    return verdict


def _admit(
    candidate: Candidate, staying: list[RunningRun], cabin: BatchCapacity, verdict: AdmissionDecision
) -> bool:
    """Let a candidate in if there is room, or room can be made for it; returns whether it came in."""
    victims: list[RunningRun] = []
    remaining = list(staying)
    while not _has_room(candidate.run_class, remaining, cabin):
        victim = _victim(remaining) if candidate.rank.urgent else None
        if victim is None:
            return False
        remaining.remove(victim)
        victims.append(victim)
    staying[:] = [*remaining, RunningRun(candidate.id, candidate.run_class, candidate.rank, 0, 0)]
    verdict.preempt += [victim.id for victim in victims]
    verdict.join.append(candidate.id)
    return True


def _has_room(kind: RunClass, staying: Sequence[RunningRun], cabin: BatchCapacity) -> bool:
    if cabin.max_runs is not None and len(staying) >= cabin.max_runs:
        return not staying
    load = Load()
    for seat in staying:
        load.add(seat.run_class, 1)
    return cabin.capacity_left(kind, load) > 0


def _victim(staying: Sequence[RunningRun]) -> RunningRun | None:
    others = [seat for seat in staying if not seat.rank.urgent]
    return min(others, key=lambda seat: (seat.priority, -seat.left), default=None)
