"""Chooses the batching window that would have been best for the runs that came last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """What windows are chosen for."""

    devices: int
    weight: float = 1.0  # of a second of a device, against a second of a run in the system
    memory: float = MEMORY
    every: int = EVERY
    settled: int = EVERY  # arrivals before the first choice


class WindowChooser:
    """Replays every arrival under each candidate, and follows the one with the least cost so far.

    The replays never begin anew, so that each holds the queue that its rules would have left. A cost is discounted
    exponentially by the arrivals since then: follow the leader, with forgetting (Cesa-Bianchi, Lugosi 2006,
    "Prediction, Learning, and Games", section 2.11).
    """

    def __init__(self, candidates: Sequence[FlushRules], settings: WindowSettings) -> None:
        """The first of the candidates holds until there is a choice."""
        self.candidates = tuple(candidates)
        self._settings = settings
        self._replays = [WindowReplay(rules, settings.devices) for rules in candidates]
        self._before = [0.0] * len(self.candidates)  # weighed costs at the last choice
        self._scores = [0.0] * len(self.candidates)
        self._decay = max(0.0, 1.0 - settings.every / settings.memory)
        self.arrivals = 0
        self.chosen = 0  # place of the candidate in force

    def arrive(self, run: ReplayedRun) -> bool:
        """Replay an arrival; return whether the choice has changed."""
        for each in self._replays:
            each.arrive(run)
        self.arrivals += 1
        return self.arrivals % self._settings.every == 0 and self._choose()

    @property
    def rules(self) -> FlushRules:
        """The rules in force."""
        return self.candidates[self.chosen]

    def cost(self, place: int) -> ReplayCost:
        """Return the cost so far of a candidate."""
        return self._replays[place].cost()

    def advantage(self, place: int) -> float:
        """Return by which share the choice is better than a candidate, over what is remembered."""
        return 1.0 - self._scores[self.chosen] / self._scores[place] if self._scores[place] else 0.0

    def _choose(self) -> bool:
        costs = [each.cost().weighed(self._settings.weight) for each in self._replays]
        self._scores = [
            self._decay * score + cost - before
            for score, cost, before in zip(self._scores, costs, self._before, strict=True)
        ]
        self._before = costs
        before = self.chosen
        if self.arrivals >= self._settings.settled:
            self.chosen = min(range(len(costs)), key=self._scores.__getitem__)
        return self.chosen != before
