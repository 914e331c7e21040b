"""Runs, an engine's traits and a cost model in; a plan out. No database, no clock, no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from typing import Any

from cosmos_batch.errors import PlanError
from cosmos_batch.planning.batch_size import sizing
from cosmos_batch.planning.cost.model import CostModel, Work
from cosmos_batch.planning.equivalence import RunClass, RunGroup, lots_of, refusals
from cosmos_batch.planning.explain import reasons
from cosmos_batch.planning.gc_pause import gc_paused
from cosmos_batch.planning.launches import LaunchDraft, arrange
from cosmos_batch.planning.packing import Draft, mixes_weights, places_of
from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import ResolvedRun, Run, Signature

_NO_FACTS: Mapping[str, VideoInfo] = {}


def plan_runs(
    runs: Sequence[ResolvedRun], traits: Traits, cost: CostModel, *, facts: Mapping[str, VideoInfo] = _NO_FACTS
) -> Plan:
    """Plan which runs are executed together, in which order, and what that costs.

    Urgent runs come before all others; then launches follow their highest priority, then the simplest control
    set, then the order of the runs. `facts` says what is known of the videos, by path; of an input that it does
    not name, the engine's own size and chunk length are assumed. The same input gives the same plan.

    Raises PlanError, with every reason, if the engine cannot do some of the runs.
    """
    with gc_paused():
        return _plan(runs, traits, cost, facts)


def draft_plan(
    runs: Sequence[Run], traits: Traits, cost: CostModel, *, facts: Mapping[str, VideoInfo] = _NO_FACTS
) -> list[LaunchDraft]:
    """Draft the launches that `plan_runs` would make, for runs that may leave settings open.

    Raises PlanError as `plan_runs` does.
    """
    with gc_paused():
        return draft_launches(_accepted(runs, traits, facts), traits, cost)


def _accepted(runs: Sequence[Run], traits: Traits, facts: Mapping[str, VideoInfo]) -> list[RunGroup]:
    """The runs in groups. Raises PlanError, with every reason, if the engine cannot do some of the runs."""
    groups = lots_of(runs, traits, facts)
    if any(group.run_class.problems for group in groups):
        raise PlanError("\n".join(str(problem) for problem in refusals(runs, traits, facts)))
    return groups


def _plan(runs: Sequence[ResolvedRun], traits: Traits, cost: CostModel, facts: Mapping[str, VideoInfo]) -> Plan:
    lots = _accepted(runs, traits, facts)
    drafts = draft_launches(lots, traits, cost)
    whys = enumerate(zip(drafts, reasons(drafts, traits), strict=True))
    launches = tuple(_launch(index, draft, reason, runs, cost) for index, (draft, reason) in whys)
    forced = _union(lots)
    return Plan(
        engine=traits.name,
        launches=launches,
        one_by_one_seconds=sum(_alone(lot, len(lot.run_class.signature), cost) for lot in lots),
        forced_seconds=sum(_alone(lot, len(forced), cost) for lot in lots),
        error=cost.error,
    )


def draft_launches(lots: Sequence[RunGroup], traits: Traits, cost: CostModel) -> list[LaunchDraft]:
    """The launches to be, in order: urgent runs in launches of their own, the others after them.

    Where the last of the urgent launches can take runs of its kind along at no cost, it does.
    """
    by_key: dict[tuple[Any, ...], list[RunGroup]] = {}
    for lot in lots:
        by_key.setdefault(lot.run_class.launch_key, []).append(lot)
    bounds = {key: sizing(traits, cost, _union(group)) for key, group in by_key.items()}
    drafts: list[LaunchDraft] = []
    rest = {key for key, group in by_key.items() if not all(lot.urgent for lot in group)}
    for urgent in (True, False):
        groups = [[lot for lot in group if lot.urgent is urgent] for group in by_key.values()]
        loaded = drafts[-1].key if drafts else None
        for group in sorted(filter(None, groups), key=lambda lots: _launch_place(lots, loaded, rest)):
            drafts += arrange(group, traits, cost, bounds[group[0].run_class.launch_key])
    return _joined(drafts, traits.ragged)


def _launch_place(
    lots: Sequence[RunGroup], loaded: tuple[Any, ...] | None, rest: Set[tuple[Any, ...]]
) -> tuple[Any, ...]:
    """Highest priority, then what is loaded already, then the simplest control set, shape, and as they came.

    Of urgent launches that are equal so far, one whose kind is in `rest`, which comes after them, is the last.
    """
    key = lots[0].run_class.launch_key
    return (
        -max(lot.priority for lot in lots),
        key != loaded,
        min(lot.run_class.simplicity for lot in lots),
        min(lot.run_class.shape for lot in lots),
        key in rest,
        min(lot.first for lot in lots),
    )


def _joined(drafts: Sequence[LaunchDraft], ragged: bool) -> list[LaunchDraft]:
    joined: list[LaunchDraft] = []
    for draft in drafts:
        if joined and draft.follows(joined[-1], ragged):
            joined[-1].batches += draft.batches
        else:
            joined.append(draft)
    return joined


def _launch(index: int, draft: LaunchDraft, reason: str, runs: Sequence[ResolvedRun], cost: CostModel) -> Launch:
    controls = draft.controls
    price = _pricer(len(controls), cost)
    batches = tuple(_batch(batch, runs, price, cost.weight_map) for batch in draft.batches)
    return Launch(index, controls, batches, cost.load_seconds(len(controls)), reason)


def _batch(
    draft: Draft, runs: Sequence[ResolvedRun], price: Callable[..., tuple[float, int]], weight_map: float
) -> Batch:
    members = tuple([runs[place] for place in places_of(draft)])
    seconds, peak = price(*[(lot.run_class, stop - start) for lot, start, stop in draft])
    maps = weight_map * len(members) if mixes_weights(draft) else 0.0
    return Batch(members, draft[0].lot.run_class.shape, seconds + maps, peak)


def _pricer(branches: int, cost: CostModel) -> Callable[..., tuple[float, int]]:
    """Seconds and peak bytes of (kind, runs) pairs in one batch; equal batches are many, so it remembers."""

    @cache
    def price(*kinds: tuple[RunClass, int]) -> tuple[float, int]:
        seconds = cost.overhead_seconds(max(kind.work.steps for kind, _ in kinds))
        seconds += sum(count * cost.run_seconds(kind.work) for kind, count in kinds)
        tokens = sum(count * kind.work.row_tokens for kind, count in kinds)
        rows = sum(count * kind.work.rows for kind, count in kinds)
        frame = max(kind.shape.width * kind.shape.height for kind, _ in kinds)
        return seconds, cost.peak_bytes(tokens, branches, rows, frame)

    return price


def _union(lots: Sequence[RunGroup]) -> Signature:
    return tuple(sorted(set[str]().union(*{lot.run_class.signature for lot in lots})))


def _alone(lot: RunGroup, controls: int, cost: CostModel) -> float:
    """Seconds of a lot's runs, each in a launch of its own with so many control branches."""
    work = lot.run_class.work
    work = Work(work.steps, work.rows, work.tokens, controls, work.pixels)
    each = cost.load_seconds(controls) + cost.overhead_seconds(work.steps) + cost.run_seconds(work)
    return len(lot.places) * each
