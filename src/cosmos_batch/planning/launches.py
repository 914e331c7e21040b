"""Lots into batches and launches, by predicted cost.

A ragged engine takes batches of any size, so batches are filled across lots. Any other engine has one batch size
per launch and cuts the launch's runs into batches as they come, so a launch must be made of whole batches of that
size, and only its last batch may be smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmos_batch.planning.batch_size import Load, Sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass, RunGroup
from cosmos_batch.planning.packing import Draft, Portion, fill, mixes_weights, size_of
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Signature

_SIZES_TRIED = 32  # every size up to this is tried; larger ones only where a group's runs allow no more


@dataclass(slots=True)
class LaunchDraft:
    """A launch to be."""

    key: tuple[Any, ...]  # what its runs have equal
    batches: list[Draft]
    leftover: bool = False  # holds what did not fill a batch of the launch before
    _lots: dict[RunGroup, int] = field(default_factory=dict)

    @property
    def lots(self) -> dict[RunGroup, int]:
        """The lots whose runs it holds, and how many of each. For a launch that is whole: counted once."""
        if not self._lots:
            for draft in self.batches:
                for lot, start, stop in draft:
                    self._lots[lot] = self._lots.get(lot, 0) + stop - start
        return self._lots

    @property
    def signatures(self) -> set[Signature]:
        """The control sets of its runs."""
        return {lot.run_class.signature for lot in self.lots}

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


def arrange(lots: Sequence[RunGroup], traits: Traits, cost: CostModel, sizing: Sizing) -> list[LaunchDraft]:
    """Launches for lots that agree in their launch key, in the order of execution."""
    groups = _groups(lots, lambda kind: kind.batch_key)
    key = lots[0].run_class.launch_key
    if not traits.ragged:
        drafts = _cheapest(key, [_Group(group, sizing) for group in groups], cost)
        return drafts if traits.batch_keys_with_maps is None else _with_maps(drafts, lots, cost, sizing)
    batches = [draft for group in groups for draft in fill(group, sizing.capacity_left)]
    batches.sort(key=lambda draft: -draft[0].lot.priority)  # a batch's first portion has its highest
    return [LaunchDraft(key, batches)]


def _with_maps(
    uniform: list[LaunchDraft], lots: Sequence[RunGroup], cost: CostModel, sizing: Sizing
) -> list[LaunchDraft]:
    """The launches with weights as maps wherever a batch mixes them, if that is cheaper than the uniform ones.

    Lots of equal weights stand side by side, so only the batches at their borders mix.
    """
    groups = [_Group(group, sizing) for group in _groups(lots, lambda kind: kind.loose_key or ())]
    mixed = _cheapest(uniform[0].key, groups, cost)
    return min(uniform, mixed, key=lambda drafts: _extra_seconds(drafts, cost))


def _extra_seconds(drafts: Sequence[LaunchDraft], cost: CostModel) -> float:
    """Seconds beside what the runs themselves take: model loads, batches, weight maps."""
    seconds = 0.0
    for launch in drafts:
        seconds += cost.load_seconds(len(launch.controls))
        for draft in launch.batches:
            seconds += cost.overhead_seconds(max(lot.run_class.work.steps for lot, _, _ in draft))
            seconds += cost.weight_map * size_of(draft) if mixes_weights(draft) else 0.0
    return seconds


def _groups(lots: Sequence[RunGroup], key: Callable[[RunClass], tuple[Any, ...]]) -> list[list[RunGroup]]:
    """Lots by key: highest priority first, then the simplest controls, then by shape, then as they came."""
    groups: dict[tuple[Any, ...], list[RunGroup]] = {}
    for lot in lots:
        groups.setdefault(key(lot.run_class), []).append(lot)
    for group in groups.values():
        group.sort(key=_place)
    return sorted(groups.values(), key=lambda group: _group_place(group[0]))


def _place(lot: RunGroup) -> tuple[Any, ...]:
    """Within a group: runs of equal controls and steps side by side, so that batch mates end together."""
    return (-lot.priority, lot.run_class.simplicity, lot.run_class.work.steps, lot.first)


def _group_place(lot: RunGroup) -> tuple[Any, ...]:
    return (-lot.priority, lot.run_class.simplicity, lot.run_class.shape, lot.first)


@dataclass(slots=True)
class _Group:
    """Lots whose runs may share a batch, with the largest batch that they should make."""

    lots: list[RunGroup]
    sizing: Sizing
    runs: int = field(init=False)
    cap: int = field(init=False)
    steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.runs = sum(len(lot.places) for lot in self.lots)
        self.cap = min(self.runs, min(self.sizing.capacity_left(lot.run_class, Load()) for lot in self.lots))
        self.steps = max(lot.run_class.work.steps for lot in self.lots)

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
    """The cheapest split; of equals one of a size that some group takes at most, then that with the smaller."""
    load = cost.load_seconds(len(groups[0].lots[0].run_class.signature))
    overheads = [cost.overhead_seconds(group.steps) for group in groups]
    caps = {group.cap for group in groups}
    sizes = sorted(caps.union(range(1, min(max(caps), _SIZES_TRIED) + 1)))
    splits = [_split(groups, overheads, load, size) for size in sizes]
    best = min(splits, key=lambda split: (split.seconds, split.size not in caps, split.size))
    return _carry_out(key, groups, best)


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
