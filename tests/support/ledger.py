"""A clock set by hand, runs and claims for tests of the ledger."""

from __future__ import annotations

from collections.abc import Callable

from cosmos_batch.ledger import BatchFacts, Ledger, State, Submission
from cosmos_batch.ledger.models import Claim
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Priority, ResolvedRun, Run, Sampling
from tests.support.runs import resolved

SHAPE = Shape(160, 96, 17)
FACTS = BatchFacts("pocket", SHAPE, predicted_seconds=6.0, predicted_bytes=1 << 33)
OpenLedger = Callable[[], Ledger]


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def make_run(run_id: str, *, prompt: str = "a street", priority: int = Priority.NORMAL) -> ResolvedRun:
    """Return a resolved run with one control."""
    control = Control(name="edge", weight=0.5, video="/in/edge.mp4")
    run = Run(id=run_id, prompt=prompt, controls=(control,), priority=priority, sampling=Sampling(seed=2**62))
    return resolved(run)


def claim(ledger: Ledger, *ids: str, worker: str = "w1") -> Claim:
    """Claim runs for a minute, as one batch."""
    claimed = ledger.queue.claim(ids, FACTS, worker, lease=60)
    assert claimed is not None
    return claimed


def run_states(ledger: Ledger) -> dict[str, State]:
    """Return the state of every run."""
    return {status.id: status.state for status in ledger.queries.statuses()}


def submitted(ledger: Ledger, *submissions: Submission) -> list[tuple[str, bool]]:
    """Submit runs; the id of each, and whether it is new."""
    return [(result.run, result.new) for result in ledger.runs.accept(submissions)]
