"""A ledger on a clock that is set by hand, and runs for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_batch.ledger import BatchFacts, Claim, Ledger
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Priority, ResolvedRun, Run, Sampling
from tests.support.runs import resolved

SHAPE = Shape(160, 96, 17)
FACTS = BatchFacts("pocket", SHAPE, predicted_seconds=6.0, predicted_bytes=1 << 33)


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite", clock)
    yield opened
    opened.close()


def a_run(run_id: str, *, prompt: str = "a street", priority: int = Priority.NORMAL) -> ResolvedRun:
    control = Control(name="edge", weight=0.5, video="/in/edge.mp4")
    run = Run(id=run_id, prompt=prompt, controls=(control,), priority=priority, sampling=Sampling(seed=2**62))
    return resolved(run)


def claim(ledger: Ledger, *ids: str, worker: str = "w1") -> Claim:
    claimed = ledger.queue.claim(ids, FACTS, worker, lease=60)
    assert claimed is not None
    return claimed
