"""When runs that gather are planned and begun: a pure decision on what has gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.planning.batch_size import Load, sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass, lots_of
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Run


@dataclass(frozen=True, slots=True)
class FlushRules:
    """How long runs may gather."""

    seconds: float = 20.0  # after the first of them came
    runs: int = 32  # until so many have
    quiet: float = 1.0  # where the device is idle and its launches cannot be joined: since the last of them came


@dataclass(frozen=True, slots=True)
class Gathered:
    """The runs that came since the last flush, and what they wait for."""

    runs: int
    urgent: int  # of them
    ahead: int  # of them, those that go before everything that is planned
    oldest: float  # seconds since the first of them came
    latest: float  # seconds since the last of them came
    idle: bool  # the device has nothing else to do
    full: bool  # some of them fill a batch, so that waiting cannot make it better
    joinable: bool  # runs can join a batch that has begun


def flush_reason(gathered: Gathered, rules: FlushRules) -> str:
    """Why the runs are planned now; "" where more are waited for."""
    if not gathered.runs:
        return ""
    if gathered.urgent:
        return "an urgent run came"
    if gathered.ahead:
        return "they go before what is planned"
    if gathered.idle and gathered.joinable:
        return "the device is idle, and others can join later"
    if gathered.full:
        return "they fill a batch"
    if gathered.runs >= rules.runs:
        return f"{gathered.runs} runs have gathered"
    if gathered.oldest >= rules.seconds:
        return f"the first has waited for {rules.seconds:g} s"
    if gathered.idle and gathered.latest >= rules.quiet:
        return f"the device is idle, and no run came for {rules.quiet:g} s"
    return ""


def flush_in(gathered: Gathered, rules: FlushRules) -> float:
    """Seconds until the clock alone brings a flush; infinite where nothing has gathered."""
    if not gathered.runs:
        return float("inf")
    waits = [rules.seconds - gathered.oldest]
    if gathered.idle:
        waits.append(rules.quiet - gathered.latest)
    return max(0.0, min(waits))


def fills_a_batch(runs: Sequence[Run], traits: Traits, cost: CostModel, facts: Mapping[str, VideoInfo]) -> bool:
    """Whether some of the runs make up the largest batch that is worth making of their kind."""
    counts: dict[tuple[object, ...], int] = {}
    kinds: dict[tuple[object, ...], RunClass] = {}
    for lot in lots_of(runs, traits, facts):
        if not lot.run_class.problems:
            key = lot.run_class.batch_key if traits.ragged else (lot.run_class.batch_key, lot.run_class.signature)
            counts[key] = counts.get(key, 0) + len(lot.places)
            kinds[key] = lot.run_class
    bounds = {key: sizing(traits, cost, kind.signature).capacity_left(kind, Load()) for key, kind in kinds.items()}
    return any(counts[key] >= bound for key, bound in bounds.items())
