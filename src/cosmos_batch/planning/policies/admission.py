"""Who joins a running batch at a step's end, and who is set aside for it: a pure decision.

Urgent runs come in at once, where need be in the place of others: of those with the lowest priority, and among
these of the ones with the most steps left. Other runs take what room is left, up to the batch that would have been
planned, unless a run that cannot join has waited for its turn longer: then the batch is let run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import Kind
from cosmos_batch.planning.policies.priority import Rank
from cosmos_batch.run import Signature


@dataclass(frozen=True, slots=True)
class Aboard:
    """A run in a running batch."""

    id: str
    kind: Kind
    rank: Rank
    priority: int
    left: int  # denoising steps


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that waits."""

    id: str
    kind: Kind
    rank: Rank
    alone: bool = False  # it must not share a batch


@dataclass(frozen=True, slots=True)
class Cabin:
    """What a running batch can take."""

    controls: Signature  # the branches that are loaded
    room: Callable[[Kind, Load], int]  # how many more of a kind fit beside a load
    most: int | None = None  # runs at most; None: as many as there is room for
    closed: bool = False  # nobody may join: the run aboard must be alone, or a bad one is looked for

    def takes(self, candidate: Candidate, key: tuple[object, ...]) -> bool:
        """Whether a run is of the kind that can be in a batch with such a key."""
        fits = candidate.kind.batch_key == key and set(candidate.kind.signature) <= set(self.controls)
        return fits and not self.closed and not candidate.alone


@dataclass(slots=True)
class Boarding:
    """What is to happen at this step's end."""

    join: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


def board(aboard: Sequence[Aboard], waiting: Iterable[Candidate], cabin: Cabin) -> Boarding:
    """Who joins and who is set aside. `waiting` comes by rank, the greatest first."""
    verdict = Boarding()
    if not aboard:
        return verdict
    key = aboard[0].kind.batch_key
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
        verdict.set_aside += [seat.id for seat in staying if not seat.rank.urgent]
    return verdict


def _admit(candidate: Candidate, staying: list[Aboard], cabin: Cabin, verdict: Boarding) -> bool:
    """Let a candidate in if there is room, or room can be made for it; returns whether it came in."""
    victims: list[Aboard] = []
    remaining = list(staying)
    while not _has_room(candidate.kind, remaining, cabin):
        victim = _victim(remaining) if candidate.rank.urgent else None
        if victim is None:
            return False
        remaining.remove(victim)
        victims.append(victim)
    staying[:] = [*remaining, Aboard(candidate.id, candidate.kind, candidate.rank, 0, 0)]
    verdict.set_aside += [victim.id for victim in victims]
    verdict.join.append(candidate.id)
    return True


def _has_room(kind: Kind, staying: Sequence[Aboard], cabin: Cabin) -> bool:
    if cabin.most is not None and len(staying) >= cabin.most:
        return not staying
    load = Load()
    for seat in staying:
        load.add(seat.kind, 1)
    return cabin.room(kind, load) > 0


def _victim(staying: Sequence[Aboard]) -> Aboard | None:
    others = [seat for seat in staying if not seat.rank.urgent]
    return min(others, key=lambda seat: (seat.priority, -seat.left), default=None)
