"""The order of the runs in a Transfer1 batch file.

When the guardrail drops a sample of a tensor batch, the samples after it move up, and only the prompt beside an
output identifies its run. So runs of equal prompts are moved to different tensor batches where an exchange allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from cosmos_batch.planning.batch_keys import key_of
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import ResolvedRun, Run, Sampling

weights_of = key_of(("weights", "input"), Sampling())
"""The values that runs of a tensor batch without maps must have equal, beside the shape."""


def mixes_weights(runs: Iterable[Run]) -> bool:
    """Whether the runs of a tensor batch differ in weights, or in which of them are maps."""
    return len({weights_of(run, None)[0] for run in runs}) > 1


def spread_prompts(launch: Launch) -> Launch:
    """The launch with equal prompts in different tensor batches, as far as exchanges of runs allow."""
    batches: list[Batch] = []
    for _, alike in groupby(launch.batches, key=_exchange_key):
        batches += _separate(list(alike))
    return replace(launch, batches=tuple(batches))


def _exchange_key(batch: Batch) -> object:
    """A key that is equal for batches whose runs may be exchanged."""
    return (batch.shape, weights_of(batch.runs[0], None)) if not mixes_weights(batch.runs) else id(batch)


def _separate(batches: Sequence[Batch]) -> Sequence[Batch]:
    if not any(_repeats(batch) for batch in batches):
        return batches
    runs = [run for batch in batches for run in batch.runs]
    counts = Counter(run.prompt for run in runs)
    runs.sort(key=lambda run: (-counts[run.prompt], run.prompt))
    dealt = _deal(runs, [len(batch.runs) for batch in batches])
    return [replace(batch, runs=tuple(share)) for batch, share in zip(batches, dealt, strict=True)]


def _repeats(batch: Batch) -> bool:
    return len({run.prompt for run in batch.runs}) < len(batch.runs)


def _deal(runs: Sequence[ResolvedRun], sizes: Sequence[int]) -> list[list[ResolvedRun]]:
    """Deal one run to each share in turn, until each has its size; so neighbours come to different shares."""
    shares: list[list[ResolvedRun]] = [[] for _ in sizes]
    turn = 0
    for run in runs:
        while len(shares[turn % len(sizes)]) == sizes[turn % len(sizes)]:
            turn += 1
        shares[turn % len(sizes)].append(run)
        turn += 1
    return shares
