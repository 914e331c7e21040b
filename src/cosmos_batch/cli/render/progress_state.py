"""How far a command is: runs done, steps of those at work, and the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cosmos_batch.ledger.models import ENDED, State
from cosmos_batch.planning.plan import Plan


@dataclass(slots=True)
class ProgressState:
    """Counts what a watcher hears. Work is measured in predicted seconds, so that long runs weigh more."""

    clock: Callable[[], float]
    total: int  # runs of the command
    started: float = field(init=False)
    at_work: dict[str, tuple[int, int]] = field(default_factory=dict)  # steps done and in all, by run id
    outcomes: dict[str, State] = field(default_factory=dict)  # of runs that came to an end, by id
    _weights: dict[str, float] = field(default_factory=dict)
    _done: float = 0.0  # predicted seconds of the work that was done since the start

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def ended(self) -> int:
        """Runs that came to an end."""
        return len(self.outcomes)

    def count(self, state: State) -> int:
        """Runs that ended so."""
        return sum(outcome is state for outcome in self.outcomes.values())

    def plan(self, plan: Plan) -> None:
        """Weigh the planned runs by their share of their batch."""
        for launch in plan.launches:
            for batch in launch.batches:
                share = batch.seconds / len(batch.runs)
                self._weights |= {run.id: share for run in batch.runs}

    def begin(self, run_ids: Iterable[str]) -> None:
        """Runs have joined."""
        self.at_work |= dict.fromkeys(run_ids, (0, 0))

    def step(self, run_id: str, step: int, steps: int) -> None:
        """A run has gone a step further."""
        self._done += self._weights.get(run_id, 0.0) / steps
        self.at_work[run_id] = (step, steps)

    def change(self, run_id: str, state: State) -> None:
        """A run's attempt has ended."""
        self.at_work.pop(run_id, None)
        if state in ENDED:
            self.outcomes[run_id] = state

    @property
    def left(self) -> float | None:
        """Seconds until the end: as predicted at first, then at the pace so far. None before there is a plan."""
        waiting = sum(weight for run_id, weight in self._weights.items() if run_id not in self.outcomes)
        under_way = sum(
            self._weights.get(run_id, 0.0) * step / steps
            for run_id, (step, steps) in self.at_work.items()
            if steps
        )
        if not self._weights:
            return None
        pace = (self.clock() - self.started) / self._done if self._done else 1.0
        return max(0.0, waiting - under_way) * pace
