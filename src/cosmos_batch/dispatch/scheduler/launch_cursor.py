"""The batches of one launch that have not begun, within the limits that are known when each begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cosmos_batch.dispatch.contract import BatchBroke, PredictedCost, Start
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun

MaxRuns = Callable[[Shape], int | None]
"""Runs of a shape that may share a batch; None: as many as were planned."""


@dataclass(slots=True)
class LaunchCursor:
    """Walks through a launch. Parts of broken batches come first."""

    max_runs: MaxRuns
    predict: Callable[[Sequence[ResolvedRun]], float] | None = (
        None  # seconds of a batch; None: in proportion to its runs
    )
    alone_seconds: Callable[[ResolvedRun], float] | None = (
        None  # seconds of a launch of one run; None: not recorded
    )
    launch: Launch | None = None
    failures: Mapping[str, int] = field(default_factory=dict)  # failed attempts so far, by run id
    _waiting: deque[Batch] = field(default_factory=deque)
    _claimed: deque[Batch] = field(default_factory=deque)  # parts that are claimed with the first of them
    _to_claim: tuple[Batch, ...] = ()

    def begin(self, launch: Launch, failures: Mapping[str, int]) -> None:
        """Start on a launch."""
        self.launch = launch
        self.failures = failures
        self._waiting = deque(part for batch in launch.batches for part in self._within_limits(batch))
        self._claimed.clear()
        self._to_claim = ()

    def end(self) -> None:
        """Drop the launch."""
        self.launch = None
        self._waiting.clear()
        self._claimed.clear()
        self._to_claim = ()

    def next(self) -> Start | None:
        """Return the start of the next batch, which is then no more in the launch; None where none is left.

        The start names the runs of the batch after it as prefetched, if there is one.
        """
        if self._claimed:
            return self._part(self._claimed.popleft())
        while self._waiting:
            batch = self._waiting.popleft()
            parts = self._within_limits(batch)
            if len(parts) == 1:
                return self._start(batch)
            self._waiting.extendleft(reversed(parts))
        return None

    @property
    def waiting(self) -> bool:
        """Whether a batch is left that is no part of a broken one."""
        return bool(self._waiting)

    def broke(self, outcome: BatchBroke) -> None:
        """Put the parts of a broken batch before all others."""
        if outcome.reserve:
            self._claimed.extendleft(reversed(outcome.parts))
            self._to_claim = outcome.parts[1:]
        else:
            self._waiting.extendleft(reversed(outcome.parts))

    def _part(self, batch: Batch) -> Start:
        reserve = tuple((part, self.cost(part)) for part in self._to_claim)
        self._to_claim = ()
        return self._start(batch)._replace(reserve=reserve, closed=True, prefetch=None)

    def first_part(self, batch: Batch) -> Batch:
        """Return the batch, or the part of it that is within the limits."""
        return self._within_limits(batch)[0]

    def _start(self, batch: Batch) -> Start:
        assert self.launch is not None
        launch = self.launch
        if self._waiting or launch.batches != (batch,):
            launch = replace(launch, batches=(batch, *self._waiting))
        following = self._waiting[0].runs if self._waiting else ()
        return Start(launch, self.cost(batch), self.failures, prefetch=following)

    def cost(self, batch: Batch) -> PredictedCost:
        """Predict what the claim of a batch records."""
        alone = {run.id: self.alone_seconds(run) for run in batch.runs} if self.alone_seconds else {}
        return PredictedCost(batch.seconds, batch.bytes, alone)

    def _within_limits(self, batch: Batch) -> Sequence[Batch]:
        limit = self.max_runs(batch.shape)
        return batch.split(limit, self.predict) if limit is not None and len(batch.runs) > limit else (batch,)
