"""Choose the launch that a device begins next: filter, score, pick.

Filter: the launches of the highest level of priority that waits, of every kind the first. Score, in seconds: what
the load of the model or of branches counts that the device does not hold, less the time that the launch waited.
Pick: the least score; of equals, the first in order. So a device keeps the kind that it holds, unless the first
launch of another kind has waited for so much longer that a load is due. Near the end of the queue the lengths of
the launches decide, loads included (`load_balance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.launch_queue import LaunchQueue, Place
from cosmos_batch.planning.policies.load_balance import EXACT_OTHERS, TOLERANCE, near, seconds_of, soonest
from cosmos_batch.planning.policies.priority import POINT_SECONDS


@dataclass(frozen=True, slots=True)
class PlacementRules:
    """How much a load counts against waiting."""

    patience: float = (
        600.0  # seconds at most that another kind's first run must have waited longer; 0: loads count not
    )
    load_weight: float = 5.0  # seconds of waiting that a second of loading outweighs
    point_seconds: float = POINT_SECONDS  # of waiting that count as a point of priority
    leave: float = 1.0  # seconds for which a launch is left to another idle device that would begin it sooner


NO_PATIENCE = PlacementRules(patience=0.0, leave=0.0)
"""Launches begin in the order of their ranks, whatever is loaded."""


def switch_seconds(loaded: Kind | None, wanted: Kind, cost: CostModel) -> float:
    """Predict the seconds until a device that holds `loaded` is ready for launches of the kind `wanted`.

    None: it holds nothing. A model of the same key needs only the branches that it does not hold.
    """
    if loaded is None or loaded.key != wanted.key:
        return cost.load_seconds(len(wanted.controls))
    return cost.load_branch * len(set(wanted.controls).difference(loaded.controls))


class Device:
    """A device that chooses among launches. It keeps the seconds of loads, which many scores need."""

    def __init__(self, rules: PlacementRules, cost: CostModel, loaded: Kind | None = None) -> None:
        """`loaded`: what it holds; None: nothing, or a launch loads the model whatever was loaded before."""
        self.rules = rules
        self.loaded = loaded
        self._cost = cost
        self._switch: dict[Kind, float] = {}
        self._held_back: dict[Kind, float] = {}  # seconds of waiting that the load of a kind outweighs
        self._holding: dict[Kind | None, Device] = {loaded: self}

    def holding(self, loaded: Kind | None, cost: CostModel, rules: PlacementRules | None = None) -> Device:
        """Return the device with other contents, costs or rules; itself where they are the same."""
        rules = rules or self.rules
        if cost is not self._cost or (rules is not self.rules and rules != self.rules):
            return Device(rules, cost, loaded)
        known = self._holding.get(loaded)
        if known is None:
            known = self._holding[loaded] = Device(self.rules, cost, loaded)
            known._holding = self._holding
        return known

    def switch(self, kind: Kind) -> float:
        """Predict the seconds to get ready for a kind; 0 where every launch loads anyway."""
        if self.loaded is None or not self.rules.patience:
            return 0.0
        known = self._switch.get(kind)
        if known is None:
            known = self._switch[kind] = switch_seconds(self.loaded, kind, self._cost)
        return known

    def score(self, place: Place) -> float:
        """Seconds that count against the first launch of its kind; comparable among launches of one level."""
        rules = self.rules
        known = self._held_back.get(place[4])
        if known is None:
            known = min(rules.patience, rules.load_weight * self.switch(place[4]))
            self._held_back[place[4]] = known
        return known + place[1] * rules.point_seconds

    def pick(self, queue: LaunchQueue, others: Sequence[float]) -> Place:
        """Pick the launch that begins next. `others`: for how many more seconds each other device is busy.

        The queue must not be empty.
        """
        chosen = self._least_score(queue)
        if not others or len(queue) > near(len(others)):
            return chosen
        return self._longest(queue, chosen) if len(others) > EXACT_OTHERS else self._soonest(queue, chosen, others)

    def _least_score(self, queue: LaunchQueue) -> Place:
        """The first launch of a kind with the least score; of equals the first in order.

        A score is at least what it is without a load, so that kinds that have waited too little are left out.
        """
        heads = queue.heads
        chosen = heads[0]
        if self.loaded is None or len(heads) == 1:
            return chosen
        level, seconds = chosen[0], self.rules.point_seconds
        held = queue.head(self.loaded)
        if held is not None and held[0] == level:
            chosen = held
        least, held_back = self.score(chosen), self._held_back
        for place in heads:
            waited = place[1] * seconds
            if place[0] != level or waited > least:
                break
            known = held_back.get(place[4])
            score = self.score(place) if known is None else known + waited
            if score < least or (score == least and place < chosen):
                chosen, least = place, score
        return chosen

    def _longest(self, queue: LaunchQueue, chosen: Place) -> Place:
        if queue.uniform(chosen[4]):
            return chosen
        equals = queue.equals(chosen)
        lengths = [seconds_of(place[3]) for place in equals]
        enough = max(lengths) / TOLERANCE
        return equals[next(index for index, seconds in enumerate(lengths) if seconds >= enough)]

    def _soonest(self, queue: LaunchQueue, chosen: Place, others: Sequence[float]) -> Place:
        waiting = [chosen, *(place for place in queue.places() if place is not chosen)]
        launches = [place[3] for place in waiting]
        loads = [self.switch(place[4]) for place in waiting]
        return waiting[soonest(launches, others, loads)]


def left_to(idle: Mapping[str, int], loaded: Kind | None, wanted: Kind) -> bool:
    """Whether another idle device is to begin a launch: one that holds its kind, else one that holds nothing.

    `idle`: the number of the other idle devices by the label of what they hold, "" for nothing.
    """
    if loaded == wanted:
        return False
    return wanted.label in idle or (loaded is not None and "" in idle)
