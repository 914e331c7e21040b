"""Rebatches the remaining runs of a launch into tensor batches of one size that never mix different keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from cosmos_batch.planning.plan import Batch


class RemainingRuns:
    """The runs of a launch that have not ended, and the batches in which the next start executes them."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = list(batches)
        self._max_runs = max(len(batch.runs) for batch in batches)  # size of a tensor batch that may fit
        self._alone: set[str] = set()  # runs to repeat one at a time, before all others

    def __bool__(self) -> bool:
        return bool(self._batches)

    def __contains__(self, run_id: str) -> bool:
        return any(run.id == run_id for batch in self._batches for run in batch.runs)

    def next_batches(self) -> tuple[Batch, ...]:
        """The batches of the next start."""
        max_runs = 1 if self._alone else self._max_runs
        return tuple(equal_batches(moved_first(self._batches, self._alone), max_runs))

    def limit(self, max_runs: int) -> None:
        """Limit the size of tensor batches."""
        self._max_runs = max_runs

    def repeat_alone(self, run_ids: Iterable[str]) -> None:
        """Execute these runs one at a time, before all others."""
        self._alone.update(run_ids)

    def drop(self, run_ids: Collection[str]) -> None:
        """Remove runs that have ended."""
        self._batches = without(self._batches, run_ids)
        self._alone.difference_update(run_ids)


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
