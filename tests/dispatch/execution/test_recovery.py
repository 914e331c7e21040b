"""What is made again of a batch that broke, as a table."""

from __future__ import annotations

import pytest

from cosmos_batch.dispatch.contract import BatchEnd
from cosmos_batch.dispatch.execution.recovery import recover
from cosmos_batch.planning.plan import Batch
from cosmos_batch.planning.traits import Shape
from tests.support.memory_queue import queued_run

OOM, CRASH = BatchEnd.OUT_OF_MEMORY, BatchEnd.CRASHED
BATCH = Batch(tuple(queued_run(name) for name in "abcde"), Shape(32, 32, 2), 5.0, 7)


@pytest.mark.parametrize(
    ("end", "left", "closed", "parts", "reserve", "failure"),
    [
        # no run was left in it
        (CRASH, "", False, [], False, ""),
        # halves: of memory, they may be joined; of a crash, or of a part of one, they may not
        (OOM, "abcde", False, ["ab", "cde"], False, ""),
        (OOM, "abcd", True, ["ab", "cd"], True, ""),
        (CRASH, "abcd", False, ["ab", "cd"], True, ""),
        # only those that were still in it
        (CRASH, "be", False, ["b", "e"], True, ""),
        # alone: it has failed; from a checkpoint it may be tried once more, alone
        (OOM, "c", False, [], True, "does not fit in memory, even alone: cause"),
        (CRASH, "c", True, ["c"], True, "cause"),
    ],
)
def test_recovery(end: BatchEnd, left: str, closed: bool, parts: list[str], reserve: bool, failure: str) -> None:
    runs = [run for run in BATCH.runs if run.id in left]
    found = recover(end, "cause", BATCH, runs, closed)
    assert ["".join(run.id for run in part.runs) for part in found.parts] == parts
    assert (found.reserve, found.failure) == (reserve, failure)
