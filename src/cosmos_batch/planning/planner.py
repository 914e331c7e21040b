"""Plan runs from an engine's traits and a cost model. Opens no database, no engine, and reads no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cache
from itertools import zip_longest

from cosmos_batch.errors import PlanError
from cosmos_batch.planning.batch_keys import KeyValues
from cosmos_batch.planning.batch_size import sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass, RunGroup, groups_of, refusals
from cosmos_batch.planning.explain import reasons
from cosmos_batch.planning.gc_pause import gc_paused
from cosmos_batch.planning.launches import LaunchDraft, cut_into_launches
from cosmos_batch.planning.packing import BatchDraft, mixes_weights
from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import ResolvedRun, Run, Signature

_NO_FACTS: Mapping[str, VideoInfo] = {}


def plan_runs(
    runs: Sequence[ResolvedRun], traits: Traits, cost: CostModel, *, facts: Mapping[str, VideoInfo] = _NO_FACTS
) -> Plan:
    """Plan which runs are executed together, in which order, and what that costs.

    The runs of a level of priority precede those of every lower level; within a level, launches are ordered by
    their highest priority, then by the simplest control set, then by the order of the runs. `facts` holds what is
    known of each video, by path; an input without an entry is assumed to have the engine's own size and chunk
    length. The same input gives the same plan.

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
    """Group the runs. Raises PlanError, with every reason, if the engine cannot do some of them."""
    groups = groups_of(runs, traits, facts)
    if any(group.run_class.problems for group in groups):
        raise PlanError("\n".join(str(problem) for problem in refusals(runs, traits, facts)))
    return groups


def _plan(runs: Sequence[ResolvedRun], traits: Traits, cost: CostModel, facts: Mapping[str, VideoInfo]) -> Plan:
    groups = _accepted(runs, traits, facts)
    drafts = draft_launches(groups, traits, cost)
    whys = enumerate(zip(drafts, reasons(drafts, traits), strict=True))
    launches = tuple(_launch(index, draft, reason, runs, cost) for index, (draft, reason) in whys)
    forced = _union(groups)
    return Plan(
        engine=traits.name,
        launches=launches,
        one_by_one_seconds=sum(_one_by_one(group, len(group.run_class.signature), cost) for group in groups),
        forced_seconds=sum(_one_by_one(group, len(forced), cost) for group in groups),
        error=cost.error,
    )


def draft_launches(groups: Sequence[RunGroup], traits: Traits, cost: CostModel) -> list[LaunchDraft]:
    """Draft the launches in order: the levels of priority one after the other, in batches of their own.

    The last launch of a level also takes the runs of its launch key of the next level, where that costs nothing.
    """
    by_key: dict[KeyValues, list[RunGroup]] = {}
    for group in groups:
        by_key.setdefault(group.run_class.launch_key, []).append(group)
    bounds = {key: sizing(traits, cost, _union(members)) for key, members in by_key.items()}
    drafts: list[LaunchDraft] = []
    levels = sorted({group.level for group in groups}, reverse=True)
    for level, below in zip_longest(levels, levels[1:]):
        parts = [[group for group in members if group.level is level] for members in by_key.values()]
        continued = {key for key, members in by_key.items() if any(group.level is below for group in members)}
        loaded = drafts[-1].key if drafts else None
        for part in _in_order(parts, loaded, continued):
            drafts += cut_into_launches(part, traits, cost, bounds[part[0].run_class.launch_key])
    return _joined(drafts, traits.ragged)


def _in_order(
    parts: Iterable[Sequence[RunGroup]], loaded: KeyValues | None, continued: Set[KeyValues]
) -> list[Sequence[RunGroup]]:
    """Return the parts that have groups, in the order of their launches."""
    return sorted(filter(None, parts), key=lambda groups: _launch_order(groups, loaded, continued))


def _launch_order(
    groups: Sequence[RunGroup], loaded: KeyValues | None, continued: Set[KeyValues]
) -> tuple[int, bool, tuple[int, Signature], Shape, bool, int]:
    """Sort key of a launch: highest priority, loaded key, simplest control set, shape, first run.

    Of launches that are equal in these, one whose key is `continued` in the next level of priority is the last.
    """
    key = groups[0].run_class.launch_key
    return (
        -max(group.priority for group in groups),
        key != loaded,
        min(group.run_class.simplicity for group in groups),
        min(group.run_class.shape for group in groups),
        key in continued,
        min(group.first for group in groups),
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
    return Launch(index, controls, batches, cost.load_seconds(len(controls)), reason, draft.key)


def _batch(
    draft: BatchDraft, runs: Sequence[ResolvedRun], price: Callable[..., tuple[float, int]], weight_map: float
) -> Batch:
    members = tuple([runs[place] for group, start, stop in draft for place in group.places[start:stop]])
    shape = draft[0].group.run_class.shape
    outputs = (each.group.run_class.output for each in draft)
    sizes = tuple(dict.fromkeys((output.width, output.height) for output in outputs))
    if len(draft) == 1:
        return Batch(members, shape, *price((draft[0].group.run_class, len(members))), sizes)
    seconds, peak = price(*[(group.run_class, stop - start) for group, start, stop in draft])
    maps = weight_map * len(members) if mixes_weights(draft) else 0.0
    return Batch(members, shape, seconds + maps, peak, sizes)


def _pricer(branches: int, cost: CostModel) -> Callable[..., tuple[float, int]]:
    """Make the function that predicts seconds and peak bytes of a batch from pairs of class and number of runs.

    Many batches of a plan are equal, so the function caches its results.
    """

    @cache
    def price(*parts: tuple[RunClass, int]) -> tuple[float, int]:
        seconds = cost.overhead_seconds(max(run_class.work.steps for run_class, _ in parts))
        seconds += sum(count * cost.run_seconds(run_class.work) for run_class, count in parts)
        tokens = sum(count * run_class.work.row_tokens for run_class, count in parts)
        rows = sum(count * run_class.work.rows for run_class, count in parts)
        frame = max(run_class.shape.width * run_class.shape.height for run_class, _ in parts)
        return seconds, cost.peak_bytes(tokens, branches, rows, frame)

    return price


def _union(groups: Sequence[RunGroup]) -> Signature:
    return tuple(sorted(set[str]().union(*{group.run_class.signature for group in groups})))


def _one_by_one(group: RunGroup, controls: int, cost: CostModel) -> float:
    """Predict the seconds of a group's runs, each in a launch of its own that loads `controls` branches."""
    work = replace(group.run_class.work, controls=controls)
    each = cost.load_seconds(controls) + cost.overhead_seconds(work.steps) + cost.run_seconds(work)
    return len(group.places) * each
