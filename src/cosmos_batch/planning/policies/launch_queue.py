"""Planned launches in order, sorted by what a device has to have loaded for them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from heapq import merge

from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.load_balance import seconds_of
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.run import Signature

Key = tuple[Hashable, ...]
Place = tuple[int, int, int, PlannedLaunch, Kind]
"""A launch with its place in the order: its negated level and points, the number of launches added before it, and
its kind."""


class LaunchQueue:
    """Planned launches: the greatest rank first, equals in the order in which they were added.

    To add or to remove a launch takes O(log n) comparisons; the first launches of all kinds are kept in order.
    """

    def __init__(self, launches: Iterable[PlannedLaunch] = ()) -> None:
        self._kinds: dict[Kind, list[Place]] = {}
        self._heads: list[Place] = []  # the first launch of each kind, in order
        self._lengths: dict[Kind, dict[float, int]] = {}  # of the launches of each kind: how many have each length
        self._controls: dict[Key, list[Signature]] = {}  # of the kinds of each launch key
        self._mixed = 0  # launch keys with kinds of several controls
        self._count = 0
        self._added = 0
        self.add(launches)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PlannedLaunch]:
        """Yield the launches in order."""
        places = merge(*self._kinds.values()) if len(self._kinds) > 1 else next(iter(self._kinds.values()), [])
        return (place[3] for place in places)

    def add(self, launches: Iterable[PlannedLaunch]) -> None:
        """Add launches behind those of the same rank."""
        for planned in launches:
            rank = planned.rank
            kind = planned.launch.kind
            place = (-rank.level, -rank.points, self._added, planned, kind)
            places = self._kinds.get(kind)
            seconds = seconds_of(planned)
            if places is None:
                self._kinds[kind], self._lengths[kind] = [place], {}
                insort(self._heads, place)
                self._note_kind(kind)
            elif places[-1] < place:
                places.append(place)
            elif place < (head := places[0]):
                places.insert(0, place)
                self._replace_head(head, place)
            else:
                insort(places, place)
            lengths = self._lengths[kind]
            lengths[seconds] = lengths.get(seconds, 0) + 1
            self._added += 1
            self._count += 1

    def remove(self, place: Place) -> None:
        """Remove the launch of a place."""
        places = self._kinds[place[4]]
        self._count -= 1
        lengths, seconds = self._lengths[place[4]], seconds_of(place[3])
        lengths[seconds] -= 1
        if not lengths[seconds]:
            del lengths[seconds]
        if places[0] is not place:
            del places[bisect_left(places, place)]
            return
        del places[0]
        self._replace_head(place, places[0] if places else None)
        if not places:
            self._forget_kind(place[4])

    def _note_kind(self, kind: Kind) -> None:
        controls = self._controls.setdefault(kind.key, [])
        controls.append(kind.controls)
        self._mixed += len(controls) == 2

    def _forget_kind(self, kind: Kind) -> None:
        del self._kinds[kind], self._lengths[kind]
        controls = self._controls[kind.key]
        controls.remove(kind.controls)
        self._mixed -= len(controls) == 1
        if not controls:
            del self._controls[kind.key]

    def _replace_head(self, place: Place, head: Place | None) -> None:
        """Let another launch, or none, be the first of a kind in place of one that was."""
        del self._heads[bisect_left(self._heads, place)]
        if head is not None:
            insort(self._heads, head)

    @property
    def greatest(self) -> Rank | None:
        """The rank of the first launch; None where there is none."""
        return self._heads[0][3].rank if self._heads else None

    @property
    def heads(self) -> Sequence[Place]:
        """The first launch of each kind, in order."""
        return self._heads

    @property
    def mixed(self) -> bool:
        """Whether launches of one launch key load the branches of different controls."""
        return self._mixed > 0

    def controls(self, key: Key) -> Signature | None:
        """Return the controls of a launch key's launches, of which there is one kind; None where there is none."""
        known = self._controls.get(key)
        return known[0] if known else None

    def head(self, kind: Kind) -> Place | None:
        """Return the first launch of a kind; None where there is none."""
        places = self._kinds.get(kind)
        return places[0] if places else None

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of the launches."""
        return list(self._kinds)

    def equals(self, place: Place) -> Sequence[Place]:
        """Return the launches of the kind and the rank of a place, which is the first of its kind."""
        places = self._kinds[place[4]]
        return places[: bisect_left(places, (place[0], place[1] + 1))]

    def uniform(self, kind: Kind) -> bool:
        """Whether all launches of a kind are equally long."""
        return len(self._lengths[kind]) == 1

    def places(self) -> list[Place]:
        """Return all places in order."""
        return list(merge(*self._kinds.values()))
