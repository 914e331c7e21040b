"""What a worker means to do next, as others may show it: JSON-ready, and of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.plan import Batch
from cosmos_batch.planning.policies.priority import PlannedLaunch

MOST_BATCHES = 100
MOST_RUNS = 50  # ids of a batch
MOST_HELD = 200


def forecast(
    turns: Sequence[PlannedLaunch], runs: int, deferred: Sequence[QueueEntry], flushed: str, now: float
) -> dict[str, Any]:
    """The planned launches with when they are expected to begin, and the runs that are held back, each with why.

    `runs`: how many wait; `deferred`: those that are tried again later.

    {"at", "flushed": why they were planned, "runs": all that wait, "seconds": of all that is planned,
     "launches": [{"controls", "reason", "load_seconds", "seconds", "starts_in", "runs_total", "batches":
         [{"runs": ids, "runs_total", "width", "height", "frames", "seconds", "bytes", "starts_in"}]}],
     "held_back": {id: reason}}; the first hundred batches, and fifty ids of each.
    """
    launches: list[dict[str, Any]] = []
    starts, shown = 0.0, 0
    for turn in turns:
        if shown < MOST_BATCHES:
            batches = turn.launch.batches[: MOST_BATCHES - shown]
            launches.append(_launch(turn, batches, starts))
            shown += len(batches)
        starts += turn.launch.seconds
    return {
        "at": now,
        "flushed": flushed,
        "runs": runs,
        "seconds": starts,
        "launches": launches,
        "held_back": {entry.id: _held_back(entry, now) for entry in deferred[:MOST_HELD]},
    }


def _launch(turn: PlannedLaunch, batches: Sequence[Batch], starts: float) -> dict[str, Any]:
    launch = turn.launch
    described = []
    begins = starts
    for batch in batches:
        described.append(_batch(batch, begins))
        begins += batch.seconds
    return {
        "controls": list(launch.controls),
        "reason": launch.reason,
        "load_seconds": launch.load_seconds,
        "seconds": launch.seconds,
        "starts_in": starts,
        "runs_total": len(launch.runs),
        "batches": described,
    }


def _batch(batch: Batch, starts: float) -> dict[str, Any]:
    return {
        "runs": [run.id for run in batch.runs[:MOST_RUNS]],
        "runs_total": len(batch.runs),
        "width": batch.shape.width,
        "height": batch.shape.height,
        "frames": batch.shape.frames,
        "seconds": batch.seconds,
        "bytes": batch.bytes,
        "starts_in": starts,
    }


def _held_back(entry: QueueEntry, now: float) -> str:
    return f"it failed, and is tried again in {entry.not_before - now:.0f} s"
