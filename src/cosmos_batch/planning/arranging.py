"""Lots into batches and launches, by predicted cost.

A ragged engine takes batches of any size, so batches are filled across lots. Any other engine has one batch size
per launch and cuts the launch's runs into batches as they come, so a launch must be made of whole batches of that
size, and only its last batch may be smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmos_batch.planning.cost import CostModel
from cosmos_batch.planning.filling import Draft, Portion, fill, size_of
from cosmos_batch.planning.lots import Lot
from cosmos_batch.planning.sizing import Load, Sizing
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Signature


@dataclass(slots=True)
class LaunchDraft:
    """A launch to be."""

    key: tuple[Any, ...]  # what its runs have equal
    batches: list[Draft]
    leftover: bool = False  # holds what did not fill a batch of the launch before
    _lots: dict[Lot, int] = field(default_factory=dict)

    @property
    def lots(self) -> dict[Lot, int]:
        """The lots whose runs it holds, and how many of each. For a launch that is whole: counted once."""
        if not self._lots:
            for draft in self.batches:
                for lot, start, stop in draft:
                    self._lots[lot] = self._lots.get(lot, 0) + stop - start
        return self._lots

    @property
    def signatures(self) -> set[Signature]:
        """The control sets of its runs."""
        return {lot.kind.signature for lot in self.lots}

    @property
    def controls(self) -> Signature:
        """The branches that it must load."""
        return tuple(sorted(set[str]().union(*self.signatures)))

    @property
    def urgent(self) -> bool:
        """Whether it begins with urgent runs."""
        return self.batches[0][0].lot.urgent

    def follows(self, before: LaunchDraft, ragged: bool) -> bool:
        """Whether this launch can be the rest of the one before, at no other change."""
        if self.key != before.key:
            return False
        size = size_of(before.batches[0])
        return ragged or (size_of(self.batches[0]) == size == size_of(before.batches[-1]))


def arrange(lots: Sequence[Lot], traits: Traits, cost: CostModel, sizing: Sizing) -> list[LaunchDraft]:
    """Launches for lots that agree in their launch key, in the order of execution."""
    groups = _uniform_groups(lots)
    key = lots[0].kind.launch_key
    if not traits.ragged:
        return _cheapest(key, [_Group(group, sizing) for group in groups], cost)
    batches = [draft for group in groups for draft in fill(group, sizing.room)]
    batches.sort(key=lambda draft: -draft[0].lot.priority)  # a batch's first portion has its highest
    return [LaunchDraft(key, batches)]


def _uniform_groups(lots: Sequence[Lot]) -> list[list[Lot]]:
    """Lots by batch key: highest priority first, then the simplest controls, then by shape, then as they came."""
    groups: dict[tuple[Any, ...], list[Lot]] = {}
    for lot in lots:
        groups.setdefault(lot.kind.batch_key, []).append(lot)
    for group in groups.values():
        group.sort(key=_place)
    return sorted(groups.values(), key=lambda group: _group_place(group[0]))


def _place(lot: Lot) -> tuple[Any, ...]:
    """Within a batch key: runs of equal controls and steps side by side, so that batch mates end together."""
    return (-lot.priority, lot.kind.simplicity, lot.kind.work.steps, lot.first)


def _group_place(lot: Lot) -> tuple[Any, ...]:
    return (-lot.priority, lot.kind.simplicity, lot.kind.shape, lot.first)


@dataclass(slots=True)
class _Group:
    """Lots whose runs may share a batch, with the largest batch that they should make."""

    lots: list[Lot]
    sizing: Sizing
    runs: int = field(init=False)
    cap: int = field(init=False)
    steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.runs = sum(len(lot.runs) for lot in self.lots)
        self.cap = min(self.runs, min(self.sizing.room(lot.kind, Load()) for lot in self.lots))
        self.steps = max(lot.kind.work.steps for lot in self.lots)

    def cut(self, size: int) -> list[Draft]:
        """Batches of that size, the last one perhaps smaller."""
        if len(self.lots) > 1:
            return list(fill(self.lots, lambda _, load: size - load.runs))
        (lot,) = self.lots
        return [(Portion(lot, i, min(i + size, self.runs)),) for i in range(0, self.runs, size)]


@dataclass(frozen=True, slots=True)
class _Split:
    """A way to cut groups: one launch with batches of `size`, and what is left, in launches of their own."""

    size: int
    seconds: float  # of model loads, and of batches beside what their runs add
    tail: int | None  # the group whose remainder ends the main launch
    singly: bool  # what is left goes one by one; else by equal sizes


def _cheapest(key: tuple[Any, ...], groups: list[_Group], cost: CostModel) -> list[LaunchDraft]:
    """The cheapest split; of equally cheap ones that with the smaller batches."""
    load = cost.load_seconds(len(groups[0].lots[0].kind.signature))
    overheads = [cost.overhead_seconds(group.steps) for group in groups]
    splits = [_split(groups, overheads, load, size) for size in sorted({group.cap for group in groups} | {1})]
    return _carry_out(key, groups, min(splits, key=lambda split: split.seconds))


def _split(groups: list[_Group], overheads: list[float], load: float, size: int) -> _Split:
    remainders = [_remainder(group, size) for group in groups]
    open_ends = [i for i, group in enumerate(groups) if 0 < remainders[i] <= min(group.cap, size)]
    tail = max(open_ends, key=lambda i: remainders[i], default=None)
    main = sum(
        overhead * (group.runs // size if group.cap >= size else 0)
        for group, overhead in zip(groups, overheads, strict=True)
    )
    main += load + (overheads[tail] if tail is not None else 0)
    left = [i for i, runs in enumerate(remainders) if runs and i != tail]
    if not left:
        return _Split(size, main, tail, singly=True)
    singly = load + sum(remainders[i] * overheads[i] for i in left)
    pieces = [(i, piece) for i in left for piece in _pieces(remainders[i], min(groups[i].cap, size))]
    by_size = load * len({piece for _, piece in pieces}) + sum(overheads[i] for i, _ in pieces)
    return _Split(size, main + min(singly, by_size), tail, singly <= by_size)


def _remainder(group: _Group, size: int) -> int:
    """Runs that do not fill whole batches of that size; all of them where the group takes no such batch."""
    return group.runs % size if group.cap >= size else group.runs


def _pieces(runs: int, cap: int) -> list[int]:
    return [cap] * (runs // cap) + ([runs % cap] if runs % cap else [])


def _carry_out(key: tuple[Any, ...], groups: list[_Group], split: _Split) -> list[LaunchDraft]:
    main: list[Draft] = []
    tail: list[Draft] = []
    left: list[Draft] = []
    for index, group in enumerate(groups):
        batches = group.cut(min(split.size, group.cap))
        whole = group.runs // split.size if group.cap >= split.size else 0
        main += batches[:whole]
        if index == split.tail:
            tail = batches[whole:]
        else:
            left += batches[whole:]
    if split.singly:
        left = [single for draft in left for single in _singles(draft)]
    by_size: dict[int, list[Draft]] = {}
    for draft in left:
        by_size.setdefault(size_of(draft), []).append(draft)
    leftovers = [LaunchDraft(key, by_size[size], leftover=True) for size in sorted(by_size, reverse=True)]
    return [LaunchDraft(key, main + tail), *leftovers]


def _singles(draft: Draft) -> list[Draft]:
    return [(Portion(p.lot, i, i + 1),) for p in draft for i in range(p.start, p.stop)]
