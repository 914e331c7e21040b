"""Decide when waiting runs are planned together: a flush."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.planning.batch_keys import KeyValues
from cosmos_batch.planning.batch_size import Load, sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass, groups_of
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Run, Signature


@dataclass(frozen=True, slots=True)
class FlushRules:
    """How long runs may wait for more runs to batch with."""

    seconds: float = 20.0  # since the first of them arrived
    runs: int = 32  # number of waiting runs that is enough
    quiet: float = (
        1.0  # since the last of them arrived, where the device is idle and its launches cannot be joined
    )
    at_once: bool = True  # do not wait where that gains nothing: see `flush_reason`


@dataclass(frozen=True, slots=True)
class Gathered:
    """The runs that arrived since the last flush, and the state of the worker."""

    runs: int
    urgent: int  # number of urgent runs among them
    ahead: int  # number of runs among them that precede every planned launch
    oldest: float  # seconds since the first of them arrived
    latest: float  # seconds since the last of them arrived
    idle: bool  # the device has no other work
    full: bool  # some of them fill a batch, so that waiting gains nothing
    joinable: bool  # runs can join a running batch


def flush_reason(gathered: Gathered, rules: FlushRules) -> str:
    """The reason for planning the runs now; "" where they wait for more runs."""
    if not gathered.runs:
        return ""
    if gathered.urgent:
        return "an urgent run arrived"
    if gathered.ahead:
        return "some runs precede every planned launch"
    if gathered.idle and gathered.joinable and rules.at_once:
        return "the device is idle, and later runs can join"
    if gathered.full and rules.at_once:
        return "the waiting runs fill a batch"
    if gathered.runs >= rules.runs:
        return f"{gathered.runs} runs are waiting"
    if gathered.oldest >= rules.seconds:
        return f"the first run has waited {rules.seconds:g} s"
    if gathered.idle and gathered.latest >= rules.quiet:
        return f"the device is idle, and no run arrived for {rules.quiet:g} s"
    return ""


def flush_in(gathered: Gathered, rules: FlushRules) -> float:
    """Seconds until a flush is due if no further run arrives; infinite where no run waits."""
    if not gathered.runs:
        return float("inf")
    waits = [rules.seconds - gathered.oldest]
    if gathered.idle:
        waits.append(rules.quiet - gathered.latest)
    return max(0.0, min(waits))


def fills_a_batch(runs: Sequence[Run], traits: Traits, cost: CostModel, facts: Mapping[str, VideoInfo]) -> bool:
    """Whether some of the runs fill the largest batch that would be planned of them."""
    counts: dict[tuple[KeyValues, Signature], int] = {}
    classes: dict[tuple[KeyValues, Signature], RunClass] = {}
    for group in groups_of(runs, traits, facts):
        if not group.run_class.problems:
            run_class = group.run_class
            key = (run_class.batch_key, () if traits.ragged else run_class.signature)
            counts[key] = counts.get(key, 0) + len(group.places)
            classes[key] = run_class
    bounds = {
        key: sizing(traits, cost, run_class.signature).capacity_left(run_class, Load())
        for key, run_class in classes.items()
    }
    return any(counts[key] >= bound for key, bound in bounds.items())
