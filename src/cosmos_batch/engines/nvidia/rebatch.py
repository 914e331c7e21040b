"""Rebatches the remaining runs of a launch into tensor batches of one size that never mix different keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cosmos_batch.planning.plan import Batch


def without(batches: Sequence[Batch], run_ids: Collection[str]) -> list[Batch]:
    """The batches without these runs; batches that become empty are dropped."""
    kept = [(batch, [run for run in batch.runs if run.id not in run_ids]) for batch in batches]
    return [batch.take(runs) for batch, runs in kept if runs]


def moved_first(batches: Sequence[Batch], run_ids: Collection[str]) -> list[Batch]:
    """The batches with these runs ahead of all others."""
    others = {run.id for batch in batches for run in batch.runs}.difference(run_ids)
    return [*without(batches, others), *without(batches, run_ids)]


def equal_batches(batches: Sequence[Batch], max_runs: int) -> list[Batch]:
    """The batches in parts of one size, at most `max_runs`; only the very last part may be smaller.

    The size is the largest that divides every batch but the last one: a script cuts its file into tensor batches
    by count alone, so a part that is too short would be filled up with runs of the next batch.
    """
    if not batches:
        return []
    bound = max(1, min(max_runs, max(len(batch.runs) for batch in batches)))
    sizes = [len(batch.runs) for batch in batches[:-1]]
    size = next(size for size in range(bound, 0, -1) if all(runs % size == 0 for runs in sizes))
    return [batch.take(batch.runs[i : i + size]) for batch in batches for i in range(0, len(batch.runs), size)]
