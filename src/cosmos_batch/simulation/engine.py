"""The engine of a simulation: its traits and cost, or those of an engine with given times."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClasses
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun


def load_per_kind(traits: Traits) -> Traits:
    """The traits where every set of controls, and every negative prompt, is a model of its own."""
    return replace(traits, launch_keys=tuple(dict.fromkeys((*traits.launch_keys, "signature", "negative_prompt"))))


def with_load_seconds(cost: CostModel, seconds: float) -> CostModel:
    """The cost where a load takes so long, whatever its branches."""
    return replace(cost, load=seconds, load_branch=0.0)


def with_run_seconds(cost: CostModel, seconds: float, run: ResolvedRun, traits: Traits) -> CostModel:
    """The cost where a run like this one takes so long and fills a device; others in proportion to tokens."""
    work = RunClasses(traits).of(run, {}).work
    return replace(
        cost,
        batch=0.0,
        step=0.0,
        token=seconds / (work.steps * work.row_tokens),
        control=0.0,
        attention=0.0,
        pixel=0.0,
        control_pixel=0.0,
        knee_tokens=work.row_tokens,
        memory_bytes=None,
    )
