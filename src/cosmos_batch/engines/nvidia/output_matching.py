"""Matches outputs to runs in a tensor batch from which the guardrail may have dropped samples.

Outputs keep the order of the runs and move up into the gaps, each with the prompt that it was made from. So the
outputs' prompts are a subsequence of the runs' prompts. An output is proven to be a run's if it belongs to that
run in every possible embedding of the subsequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputMatch:
    """The proven owners of a tensor batch's outputs. Indices count from 0, within the batch."""

    owners: dict[int, int]  # by output: its run
    ambiguous: frozenset[int]  # runs that own an output in some embeddings only
    fits: bool = True  # False: the outputs cannot belong to these runs

    @property
    def claimed(self) -> frozenset[int]:
        """Runs that have an output, or may have one."""
        return self.ambiguous.union(self.owners.values())


def match_outputs(prompts: Sequence[str], outputs: Sequence[str], *, complete: bool) -> OutputMatch:
    """Match outputs to runs by prompt. `complete`: no further output will come from this batch.

    Until then more outputs may follow: a run that every embedding skips counts as dropped only once the batch is
    complete. The last output waits too while its prompt, still being written, could grow into another run's.
    """
    known = list(outputs)
    if not complete and known and any(p != known[-1] and p.startswith(known[-1]) for p in prompts):
        known.pop()
    first = _leftmost(prompts, known)
    last = _leftmost(prompts[::-1], known[::-1])
    if first is None or last is None:
        return OutputMatch({}, frozenset(), fits=False)
    last = [len(prompts) - 1 - index for index in reversed(last)]
    owners = {i: low for i, (low, high) in enumerate(zip(first, last, strict=True)) if low == high}
    ambiguous = {
        index
        for low, high, prompt in zip(first, last, known, strict=True)
        if low != high
        for index in range(low, high + 1)
        if prompts[index] == prompt
    }
    return OutputMatch(owners, frozenset(ambiguous))


def _leftmost(prompts: Sequence[str], outputs: Sequence[str]) -> list[int] | None:
    """The leftmost embedding of the outputs, as indices of prompts; None where there is none."""
    indices: list[int] = []
    index = -1
    for output in outputs:
        try:
            index = prompts.index(output, index + 1)
        except ValueError:
            return None
        indices.append(index)
    return indices
