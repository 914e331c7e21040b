"""The order of the runs in a Transfer1 batch file.

When the guardrail drops a sample of a tensor batch, those after it move up, and only the prompt beside an output
says whose it is. So runs of equal prompts go to different tensor batches wherever that can be
had by changing places.
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
"""What a tensor batch of numbers must have equal, beside its shape."""


def mixes_weights(runs: Iterable[Run]) -> bool:
    """Whether the runs of a tensor batch differ in weights, or in whether these are maps."""
    return len({weights_of(run, None)[0] for run in runs}) > 1


def spread(launch: Launch) -> Launch:
    """The launch with equal prompts in different tensor batches, as far as that goes; else as it is."""
    batches: list[Batch] = []
    for _, alike in groupby(launch.batches, key=_kind):
        batches += _apart(list(alike))
    return replace(launch, batches=tuple(batches))


def _kind(batch: Batch) -> object:
    """Equal for batches whose runs may change places."""
    return (batch.shape, weights_of(batch.runs[0], None)) if not mixes_weights(batch.runs) else id(batch)


def _apart(batches: Sequence[Batch]) -> Sequence[Batch]:
    if not any(_repeats(batch) for batch in batches):
        return batches
    runs = [run for batch in batches for run in batch.runs]
    often = Counter(run.prompt for run in runs)
    runs.sort(key=lambda run: (-often[run.prompt], run.prompt))
    dealt = _deal(runs, [len(batch.runs) for batch in batches])
    return [replace(batch, runs=tuple(hand)) for batch, hand in zip(batches, dealt, strict=True)]


def _repeats(batch: Batch) -> bool:
    return len({run.prompt for run in batch.runs}) < len(batch.runs)


def _deal(runs: Sequence[ResolvedRun], sizes: Sequence[int]) -> list[list[ResolvedRun]]:
    """One run to each hand in turn, until every hand has its size; so neighbours end up in different hands."""
    hands: list[list[ResolvedRun]] = [[] for _ in sizes]
    turn = 0
    for run in runs:
        while len(hands[turn % len(sizes)]) == sizes[turn % len(sizes)]:
            turn += 1
        hands[turn % len(sizes)].append(run)
        turn += 1
    return hands
