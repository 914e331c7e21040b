"""Chooses the batching window that would have been best for the runs that came last."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.simulation.shadow.window_replay import ReplayCost, ReplayedRun, WindowReplay

WINDOWS = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 160.0, 240.0, 320.0)
"""Seconds of the fixed windows among which one is chosen; 320 is more than twice the load of a script's model."""
EVERY = 250
"""Arrivals between two choices."""
MEMORY = 4000
"""Arrivals after which a replayed run counts 1/e. Over fewer, windows differ more by chance than in fact."""
_NEVER = 1e9  # seconds


def fixed_window(seconds: float) -> FlushRules:
    """Rules by which runs wait for so long, whether a device is idle or not."""
    return FlushRules(seconds=seconds, runs=2**31, quiet=_NEVER, at_once=False)


class ShadowReplays:
    """Replays of the same arrivals under several rules. None begins anew, so that each holds the queue that its
    rules would have left.
    """

    def __init__(self, candidates: Sequence[FlushRules], devices: int) -> None:
        self.candidates = tuple(candidates)
        self._replays = [WindowReplay(rules, devices) for rules in candidates]

    def arrive(self, run: ReplayedRun) -> None:
        """Replay an arrival under all rules."""
        for each in self._replays:
            each.arrive(run)

    def costs(self) -> list[ReplayCost]:
        """Return the cost of each candidate so far."""
        return [each.cost() for each in self._replays]


class WindowChooser:
    """Follows the candidate with the least cost, in which later arrivals count more than earlier ones.

    A cost is discounted exponentially by the arrivals since then: follow the leader, with forgetting
    (Cesa-Bianchi, Lugosi 2006, "Prediction, Learning, and Games", section 2.11).
    """

    def __init__(self, candidates: int, weight: float = 1.0, memory: float = MEMORY) -> None:
        """The first of so many candidates is followed until there is a choice.

        `weight`: of a second of a device against a second of a run in the system; `memory`: see `MEMORY`.
        """
        self._weight = weight
        self._decay = max(0.0, 1.0 - EVERY / memory)
        self._before = [0.0] * candidates  # weighed costs at the last choice
        self._scores = [0.0] * candidates
        self.chosen = 0  # place of the candidate that is followed

    def choose(self, costs: Sequence[ReplayCost]) -> int:
        """Choose after another `EVERY` arrivals, with the cost of each candidate so far; return its place."""
        weighed = [cost.weighed(self._weight) for cost in costs]
        self._scores = [
            self._decay * score + cost - before
            for score, cost, before in zip(self._scores, weighed, self._before, strict=True)
        ]
        self._before = weighed
        self.chosen = min(range(len(weighed)), key=self._scores.__getitem__)
        return self.chosen

    def advantage(self, place: int) -> float:
        """Return by which share the choice costs less than a candidate, over what is remembered."""
        return 1.0 - self._scores[self.chosen] / self._scores[place] if self._scores[place] else 0.0
