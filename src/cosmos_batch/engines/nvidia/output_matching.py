"""Whose output is whose in a tensor batch from which the guardrail may have dropped some.

Outputs keep the order of the runs and move up into the gaps, each with the prompt that it was made from. So the
outputs' prompts are a subsequence of the runs' prompts, and an output is proven to be a run's if it is that run's
in every way in which the one can be laid into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attribution:
    """What is proven of a tensor batch. Places count from 0, within the batch."""

    owners: dict[int, int]  # by output: the run that it was made for
    ambiguous: frozenset[int]  # runs that may own an output, or not
    fits: bool = True  # False: the outputs cannot be these runs' at all

    @property
    def spoken_for(self) -> frozenset[int]:
        """Runs that have an output, or may have one."""
        return self.ambiguous.union(self.owners.values())


def attribute(prompts: Sequence[str], outputs: Sequence[str], *, complete: bool) -> Attribution:
    """Lay the outputs' prompts into the runs'. `complete`: no further output will come from this batch.

    Until then, more outputs may follow those that are there, which leaves the same possibilities open: a run
    that is passed over by every way of laying them is one that was dropped only once the batch is complete.
    An output whose prompt could still be growing in its file into another run's waits too.
    """
    known = list(outputs)
    if not complete and known and any(p != known[-1] and p.startswith(known[-1]) for p in prompts):
        known.pop()
    first = _leftmost(prompts, known)
    last = _leftmost(prompts[::-1], known[::-1])
    if first is None or last is None:
        return Attribution({}, frozenset(), fits=False)
    last = [len(prompts) - 1 - place for place in reversed(last)]
    owners = {i: low for i, (low, high) in enumerate(zip(first, last, strict=True)) if low == high}
    doubtful = {
        place
        for low, high, prompt in zip(first, last, known, strict=True)
        if low != high
        for place in range(low, high + 1)
        if prompts[place] == prompt
    }
    return Attribution(owners, frozenset(doubtful))


def _leftmost(prompts: Sequence[str], outputs: Sequence[str]) -> list[int] | None:
    """The places of the outputs as far to the left as they go; None where they do not fit."""
    places: list[int] = []
    place = -1
    for output in outputs:
        try:
            place = prompts.index(output, place + 1)
        except ValueError:
            return None
        places.append(place)
    return places
