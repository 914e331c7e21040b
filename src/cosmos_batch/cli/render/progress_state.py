"""Progress of a command: ended runs, steps of running runs, and the remaining time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cosmos_batch.ledger.models import ENDED, State
from cosmos_batch.planning.plan import Plan


@dataclass(slots=True)
class StepPace:
    """Measured seconds of denoising for a predicted second.

    Runs of a batch take each step together: a round. The first round of a launch does not count, because the time
    before it is that of the model load.
    """

    _began: float | None = None  # the present round
    _before: float | None = None  # the round before it
    _ids: set[str] = field(default_factory=set)  # runs that have taken their step of the round
    _work: float = 0.0  # predicted seconds of those steps
    _taken: float = 0.0  # seconds of all earlier rounds that count
    _predicted: float = 0.0  # predicted seconds of those

    @property
    def factor(self) -> float:
        """Seconds for a predicted second; 1 before it is measured."""
        return self._taken / self._predicted if self._predicted else 1.0

    def launch(self) -> None:
        """Note that a model is loaded: the next round is not measured."""
        self._began = self._before = None
        self._ids, self._work = set(), 0.0

    def step(self, run_id: str, work: float, now: float) -> None:
        """Note a step of a run."""
        if self._began is None or run_id in self._ids:
            if self._began is not None and self._before is not None:
                self._taken += self._began - self._before
                self._predicted += self._work
            self._before, self._began = self._began, now
            self._ids, self._work = set(), 0.0
        self._ids.add(run_id)
        self._work += work


@dataclass(slots=True)
class ProgressState:
    """Progress from the events of a command. Work is measured in predicted seconds: long runs weigh more."""

    clock: Callable[[], float]
    total: int  # runs of the command
    running: dict[str, tuple[int, int]] = field(default_factory=dict)  # steps done and in total, by run id
    outcomes: dict[str, State] = field(default_factory=dict)  # of ended runs, by id
    _weights: dict[str, float] = field(default_factory=dict)
    _loads: deque[float] = field(default_factory=deque)  # predicted seconds of the loads of later launches
    _load: float = 0.0  # predicted seconds of the load that has begun; 0 once a run has taken a step
    _load_began: float = 0.0
    _pace: StepPace = field(default_factory=StepPace)

    @property
    def ended(self) -> int:
        """Number of ended runs."""
        return len(self.outcomes)

    def count(self, state: State) -> int:
        """Number of runs that ended in this state."""
        return sum(outcome is state for outcome in self.outcomes.values())

    def plan(self, plan: Plan) -> None:
        """Weigh the planned runs by their share of their batch, and note the loads."""
        self._loads = deque(launch.load_seconds for launch in plan.launches)
        for launch in plan.launches:
            for batch in launch.batches:
                share = batch.seconds / len(batch.runs)
                self._weights |= {run.id: share for run in batch.runs}

    def launch(self) -> None:
        """Record that the model is loaded for the next launch."""
        self._load, self._load_began = self._loads.popleft() if self._loads else 0.0, self.clock()
        self._pace.launch()

    def begin(self, run_ids: Iterable[str]) -> None:
        """Record that runs joined a batch."""
        self.running |= dict.fromkeys(run_ids, (0, 0))

    def step(self, run_id: str, step: int, steps: int) -> None:
        """Record a step of a run."""
        self._load = 0.0
        self._pace.step(run_id, self._weights.get(run_id, 0.0) / steps, self.clock())
        self.running[run_id] = (step, steps)

    def change(self, run_id: str, state: State) -> None:
        """Record the end of a run's attempt."""
        self.running.pop(run_id, None)
        if state in ENDED:
            self.outcomes[run_id] = state

    @property
    def left(self) -> float | None:
        """Remaining seconds: of loads as predicted, of runs at the pace so far. None before there is a plan."""
        waiting = sum(weight for run_id, weight in self._weights.items() if run_id not in self.outcomes)
        in_progress = sum(
            self._weights.get(run_id, 0.0) * step / steps
            for run_id, (step, steps) in self.running.items()
            if steps
        )
        if not self._weights:
            return None
        loading = max(0.0, self._load - (self.clock() - self._load_began)) if self._load else 0.0
        return sum(self._loads) + loading + max(0.0, waiting - in_progress) * self._pace.factor
