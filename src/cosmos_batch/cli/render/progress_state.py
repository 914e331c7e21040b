"""Progress of a command: ended runs, steps of running runs, and the remaining time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cosmos_batch.ledger.models import ENDED, State
from cosmos_batch.planning.plan import Plan


@dataclass(slots=True)
class ProgressState:
    """Progress from the events of a command. Work is measured in predicted seconds: long runs weigh more."""

    clock: Callable[[], float]
    total: int  # runs of the command
    started: float = field(init=False)
    running: dict[str, tuple[int, int]] = field(default_factory=dict)  # steps done and in total, by run id
    outcomes: dict[str, State] = field(default_factory=dict)  # of ended runs, by id
    _weights: dict[str, float] = field(default_factory=dict)
    _done: float = 0.0  # predicted seconds of the work done since the start

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def ended(self) -> int:
        """Number of ended runs."""
        return len(self.outcomes)

    def count(self, state: State) -> int:
        """Number of runs that ended in this state."""
        return sum(outcome is state for outcome in self.outcomes.values())

    def plan(self, plan: Plan) -> None:
        """Weigh the planned runs by their share of their batch."""
        for launch in plan.launches:
            for batch in launch.batches:
                share = batch.seconds / len(batch.runs)
                self._weights |= {run.id: share for run in batch.runs}

    def begin(self, run_ids: Iterable[str]) -> None:
        """Record that runs joined a batch."""
        self.running |= dict.fromkeys(run_ids, (0, 0))

    def step(self, run_id: str, step: int, steps: int) -> None:
        """Record a step of a run."""
        self._done += self._weights.get(run_id, 0.0) / steps
        self.running[run_id] = (step, steps)

    def change(self, run_id: str, state: State) -> None:
        """Record the end of a run's attempt."""
        self.running.pop(run_id, None)
        if state in ENDED:
            self.outcomes[run_id] = state

    @property
    def left(self) -> float | None:
        """Remaining seconds: predicted at first, then at the pace so far. None before there is a plan."""
        waiting = sum(weight for run_id, weight in self._weights.items() if run_id not in self.outcomes)
        in_progress = sum(
            self._weights.get(run_id, 0.0) * step / steps
            for run_id, (step, steps) in self.running.items()
            if steps
        )
        if not self._weights:
            return None
        pace = (self.clock() - self.started) / self._done if self._done else 1.0
        return max(0.0, waiting - in_progress) * pace
