"""Drafts: ways to see the videos of a plan at a fraction of its cost, with fewer steps or with another model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cosmos_batch.planning.batch_keys import input_facts, resolved_defaults
from cosmos_batch.planning.cost.model import CostModel, Work
from cosmos_batch.planning.equivalence import Classifier, RunGroup, groups_of
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Run

_SHARE = 0.5
"""Share of the cost up to which a draft is worth a line."""


@dataclass(frozen=True, slots=True)
class DraftModel:
    """A model of the same network that needs fewer passes."""

    label: str  # "the distilled edge model"
    model: str  # by which it is chosen: a hub id
    traits: Traits


@dataclass(frozen=True, slots=True)
class Draft:
    """A way to make some runs of a plan at a lower cost. Its videos are others, made for a first look."""

    what: str  # "4 steps with the distilled edge model"
    steps: int
    model: str | None  # by which its model is chosen; None: the model of the plan
    runs: int  # of the plan that can be made so
    seconds: float  # predicted, without the model load
    in_place_of: float  # predicted seconds of the same runs as the plan makes them


def drafts_of(
    plan: Plan, traits: Traits, cost: CostModel, models: Sequence[DraftModel], facts: Mapping[str, VideoInfo]
) -> tuple[Draft, ...]:
    """The drafts of a plan that cost at most half of it, the cheapest first.

    `cost`: of the plan's engine; as the network of a draft model is of the same sizes, it holds for that, too.
    """
    runs = [run for launch in plan.launches for run in launch.runs]
    groups = groups_of(runs, traits, facts)
    scale = sum(batch.seconds for launch in plan.launches for batch in launch.batches)
    scale /= sum(_seconds(group.run_class.work, group, cost) for group in groups) or 1.0
    made: list[Draft | None] = []
    if traits.draft_steps is not None:
        works = _works(groups, runs, traits, traits.draft_steps, facts)
        made.append(_draft("", None, traits.draft_steps, groups, works, cost, scale))
    for each in models:
        steps = resolved_defaults(each.traits).num_steps or 1
        works = _works(groups, runs, each.traits, steps, facts)
        made.append(_draft(f" with {each.label}", each.model, steps, groups, works, cost, scale))
    found = [draft for draft in made if draft is not None and draft.seconds <= _SHARE * draft.in_place_of]
    return tuple(sorted(found, key=lambda draft: draft.seconds / draft.in_place_of))


def drafts_to_dicts(drafts: Sequence[Draft]) -> list[dict[str, Any]]:
    """The drafts as JSON-ready values."""
    return [asdict(draft) for draft in drafts]


def _draft(
    way: str,
    model: str | None,
    steps: int,
    groups: Sequence[RunGroup],
    works: Iterator[Work | None],
    cost: CostModel,
    scale: float,
) -> Draft | None:
    """The draft of those groups that have a work in it; None where none has."""
    pairs = [(group, work) for group, work in zip(groups, works, strict=True) if work is not None]
    if not pairs:
        return None
    return Draft(
        what=f"{steps} {'step' if steps == 1 else 'steps'}{way}",
        steps=steps,
        model=model,
        runs=sum(len(group.places) for group, _ in pairs),
        seconds=scale * sum(_seconds(work, group, cost) for group, work in pairs),
        in_place_of=scale * sum(_seconds(group.run_class.work, group, cost) for group, _ in pairs),
    )


def _seconds(work: Work, group: RunGroup, cost: CostModel) -> float:
    return len(group.places) * (cost.overhead_seconds(work.steps) + cost.run_seconds(work))


def _works(
    groups: Sequence[RunGroup],
    runs: Sequence[Run],
    traits: Traits,
    steps: int,
    facts: Mapping[str, VideoInfo],
) -> Iterator[Work | None]:
    """The work of each group with these traits and steps; None where they refuse its runs, or save too little."""
    classifier = Classifier(traits)
    for group in groups:
        run = runs[group.first]
        taken = run.sampling.num_steps
        found = classifier.classify(_with_steps(run, steps), input_facts(run, facts))
        less = taken is not None and steps <= _SHARE * taken
        yield found.work if less and not found.problems else None


def _with_steps(run: Run, steps: int) -> Run:
    return replace(run, sampling=replace(run.sampling, num_steps=steps))
