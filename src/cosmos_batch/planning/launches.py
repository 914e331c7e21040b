"""Cut groups of runs into batches and launches, by predicted cost.

A ragged engine takes batches of any size, so batches are filled across groups. Any other engine has one batch size
per launch and cuts the launch's runs into batches in the order given, so a launch must consist of whole batches of
that size, and only its last batch may be smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cosmos_batch.planning.batch_keys import KeyValues
from cosmos_batch.planning.batch_size import Load, Sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass, RunGroup
from cosmos_batch.planning.packing import BatchDraft, Portion, fill, mixes_weights, size_of
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import Priority, Signature

_SIZES_TRIED = 32  # every size up to this is tried; of the larger ones only the caps of pools


@dataclass(slots=True)
class LaunchDraft:
    """A planned launch whose batches are portions of groups."""

    key: KeyValues  # the launch key that its runs share
    batches: list[BatchDraft]
    leftover: bool = False  # its runs did not fill a batch of the launch before
    _groups: dict[RunGroup, int] = field(default_factory=dict)

    @property
    def groups(self) -> dict[RunGroup, int]:
        """The groups of the launch, each with its number of runs; counted once, so for a complete launch."""
        if not self._groups:
            for draft in self.batches:
                for group, start, stop in draft:
                    self._groups[group] = self._groups.get(group, 0) + stop - start
        return self._groups

    @property
    def signatures(self) -> set[Signature]:
        """The control sets of the launch's runs."""
        return {group.run_class.signature for group in self.groups}

    @property
    def controls(self) -> Signature:
        """The branches that the launch must load."""
        return tuple(sorted(set[str]().union(*self.signatures)))

    @property
    def level(self) -> Priority:
        """The level of priority of the runs that the launch begins with."""
        return self.batches[0][0].group.level

    def follows(self, before: LaunchDraft, ragged: bool) -> bool:
        """Whether the batches of this launch can be appended to the launch before, with nothing else changed."""
        if self.key != before.key:
            return False
        size = size_of(before.batches[0])
        return ragged or (size_of(self.batches[0]) == size == size_of(before.batches[-1]))


def cut_into_launches(
    groups: Sequence[RunGroup], traits: Traits, cost: CostModel, sizing: Sizing
) -> list[LaunchDraft]:
    """Cut groups of one launch key into launches, in the order of execution."""
    pools = _by_key(groups, lambda run_class: run_class.batch_key)
    key = groups[0].run_class.launch_key
    if not traits.ragged:
        drafts = _cheapest(key, [_Pool(pool, sizing) for pool in pools], cost)
        return drafts if traits.batch_keys_with_maps is None else _with_maps(drafts, groups, cost, sizing)
    batches = [draft for pool in pools for draft in fill(pool, sizing.capacity_left)]
    batches.sort(key=lambda draft: -draft[0].group.priority)  # the first portion of a batch has the highest
    return [LaunchDraft(key, batches)]


def _with_maps(
    uniform: list[LaunchDraft], groups: Sequence[RunGroup], cost: CostModel, sizing: Sizing
) -> list[LaunchDraft]:
    """Return launches whose mixed batches give weights as maps, if they are cheaper than the uniform launches.

    Groups of equal weights are adjacent, so only the batches at their borders mix weights.
    """
    pools = [
        _Pool(pool, sizing) for pool in _by_key(groups, lambda run_class: run_class.batch_key_with_maps or ())
    ]
    mixed = _cheapest(uniform[0].key, pools, cost)
    return min(uniform, mixed, key=lambda drafts: _extra_seconds(drafts, cost))


def _extra_seconds(drafts: Sequence[LaunchDraft], cost: CostModel) -> float:
    """Predicted seconds beyond those of the runs: model loads, batch overheads, weight maps."""
    seconds = 0.0
    for launch in drafts:
        seconds += cost.load_seconds(len(launch.controls))
        for draft in launch.batches:
            seconds += cost.overhead_seconds(max(group.run_class.work.steps for group, _, _ in draft))
            seconds += cost.weight_map * size_of(draft) if mixes_weights(draft) else 0.0
    return seconds


def _by_key(groups: Sequence[RunGroup], key: Callable[[RunClass], KeyValues]) -> list[list[RunGroup]]:
    """Sort groups into lists of one key: by highest priority, simplest controls, shape, first run."""
    pools: dict[KeyValues, list[RunGroup]] = {}
    for group in groups:
        pools.setdefault(key(group.run_class), []).append(group)
    for pool in pools.values():
        pool.sort(key=_run_order)
    return sorted(pools.values(), key=lambda pool: _pool_order(pool[0]))


def _run_order(group: RunGroup) -> tuple[int, tuple[int, Signature], int, int]:
    """Sort key within a pool: equal controls and steps are adjacent, so that the runs of a batch end together."""
    return (-group.priority, group.run_class.simplicity, group.run_class.work.steps, group.first)


def _pool_order(group: RunGroup) -> tuple[int, tuple[int, Signature], Shape, int]:
    return (-group.priority, group.run_class.simplicity, group.run_class.shape, group.first)


@dataclass(slots=True)
class _Pool:
    """Groups whose runs may share a batch, with the largest batch worth making of them."""

    groups: list[RunGroup]
    sizing: Sizing
    runs: int = field(init=False)  # of all groups
    cap: int = field(init=False)  # runs of the largest batch
    steps: int = field(init=False)  # of the run that takes most

    def __post_init__(self) -> None:
        self.runs = sum(len(group.places) for group in self.groups)
        self.cap = min(self.runs, min(self.sizing.capacity_left(group.run_class, Load()) for group in self.groups))
        self.steps = max(group.run_class.work.steps for group in self.groups)

    def cut(self, size: int) -> list[BatchDraft]:
        """Cut the runs into batches of `size`; the last batch may be smaller."""
        if len(self.groups) > 1:
            return list(fill(self.groups, lambda _, load: size - load.runs))
        (group,) = self.groups
        return [(Portion(group, i, min(i + size, self.runs)),) for i in range(0, self.runs, size)]


@dataclass(frozen=True, slots=True)
class _Split:
    """A way to cut pools: a main launch with batches of `size`, and further launches of the remaining runs."""

    size: int
    seconds: float  # of model loads and batch overheads, without the runs themselves
    tail: int | None  # the pool whose remainder ends the main launch
    singly: bool  # the remaining runs go one by one; else in launches of equal sizes


def _cheapest(key: KeyValues, pools: list[_Pool], cost: CostModel) -> list[LaunchDraft]:
    """Cut the pools at least cost; of equal splits, prefer the cap of a pool as size, then the smaller size."""
    load = cost.load_seconds(len(pools[0].groups[0].run_class.signature))
    overheads = [cost.overhead_seconds(pool.steps) for pool in pools]
    caps = {pool.cap for pool in pools}
    sizes = sorted(caps.union(range(1, min(max(caps), _SIZES_TRIED) + 1)))
    splits = [_split(pools, overheads, load, size) for size in sizes]
    best = min(splits, key=lambda split: (split.seconds, split.size not in caps, split.size))
    return _apply(key, pools, best)


def _split(pools: list[_Pool], overheads: list[float], load: float, size: int) -> _Split:
    remainders = [_remainder(pool, size) for pool in pools]
    open_ends = [i for i, pool in enumerate(pools) if 0 < remainders[i] <= min(pool.cap, size)]
    tail = max(open_ends, key=lambda i: remainders[i], default=None)
    main = sum(
        overhead * (pool.runs // size if pool.cap >= size else 0)
        for pool, overhead in zip(pools, overheads, strict=True)
    )
    main += load + (overheads[tail] if tail is not None else 0)
    left = [i for i, runs in enumerate(remainders) if runs and i != tail]
    if not left:
        return _Split(size, main, tail, singly=True)
    singly = load + sum(remainders[i] * overheads[i] for i in left)
    pieces = [(i, piece) for i in left for piece in _pieces(remainders[i], min(pools[i].cap, size))]
    by_size = load * len({piece for _, piece in pieces}) + sum(overheads[i] for i, _ in pieces)
    return _Split(size, main + min(singly, by_size), tail, singly <= by_size)


def _remainder(pool: _Pool, size: int) -> int:
    """Number of runs that fill no whole batch of `size`; every run where `size` exceeds the cap of the pool."""
    return pool.runs % size if pool.cap >= size else pool.runs


def _pieces(runs: int, cap: int) -> list[int]:
    return [cap] * (runs // cap) + ([runs % cap] if runs % cap else [])


def _apply(key: KeyValues, pools: list[_Pool], split: _Split) -> list[LaunchDraft]:
    main: list[BatchDraft] = []
    tail: list[BatchDraft] = []
    left: list[BatchDraft] = []
    for index, pool in enumerate(pools):
        batches = pool.cut(min(split.size, pool.cap))
        whole = pool.runs // split.size if pool.cap >= split.size else 0
        main += batches[:whole]
        if index == split.tail:
            tail = batches[whole:]
        else:
            left += batches[whole:]
    if split.singly:
        left = [single for draft in left for single in _singles(draft)]
    by_size: dict[int, list[BatchDraft]] = {}
    for draft in left:
        by_size.setdefault(size_of(draft), []).append(draft)
    leftovers = [LaunchDraft(key, by_size[size], leftover=True) for size in sorted(by_size, reverse=True)]
    return [LaunchDraft(key, main + tail), *leftovers]


def _singles(draft: BatchDraft) -> list[BatchDraft]:
    return [(Portion(p.group, i, i + 1),) for p in draft for i in range(p.start, p.stop)]
