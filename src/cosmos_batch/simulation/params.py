"""Parameters of a generated trace: how many runs, of which kinds, when and of which owners."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from cosmos_batch.controls import CONTROLS
from cosmos_batch.errors import InputError
from cosmos_batch.formats.common import StrictModel
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import validate
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import FrameCount, Priority, Resolution, ResolvedRun, Sampling, Steps
from cosmos_batch.simulation.engine import load_per_kind, with_load_seconds, with_run_seconds
from cosmos_batch.simulation.requests import FACTS, problems_of
from cosmos_batch.simulation.settings import Machines
from cosmos_batch.simulation.trace import Seconds, Trace

Share = Annotated[float, Field(ge=0, le=1, description="a share, from 0 to 1")]
Duration = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, description="seconds")]


class MachineParams(StrictModel):
    """The table [machines]: see `Machines`."""

    gpus_each: Annotated[int, Field(ge=1)] = 8
    failure_hours: Annotated[float, Field(gt=0)] | None = None
    repair: Duration = 3600.0
    spot_share: Share = 0.0
    reclaim_hours: Annotated[float, Field(gt=0)] = 24.0
    notice: Duration = 30.0
    away: Duration = 1800.0
    restart: Duration = 5.0


class Params(StrictModel):
    """Parameters of a generated trace and of the fleet that makes it."""

    runs: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    seconds: Annotated[float, Field(gt=0, le=1e9)] = 86_400.0  # over which the runs arrive
    seed: Annotated[int, Field(ge=0)] = 0
    kinds: Annotated[int, Field(ge=1, le=10_000)] = 15  # sets of controls, then negative prompts
    zipf: Annotated[float, Field(ge=0, le=10)] = 1.0  # the k-th kind has a share in proportion to 1/k^zipf
    burst: Annotated[float, Field(ge=1)] = 1.0  # mean number of runs that arrive together, of one kind and owner
    day_curve: Share = 0.0  # swing of the rate of arrivals over a day, around its mean
    owners: Annotated[int, Field(ge=1, le=100_000)] = 1  # who submit equal shares
    urgent: Share = 0.0  # share of urgent runs
    low: Share = 0.0  # share of runs of low priority
    poison: Share = 0.0  # share of runs that crash their worker half-way
    num_steps: Steps = 35
    num_frames: FrameCount = 93
    resolution: Resolution | None = None  # None: the engine's own
    run_seconds: Annotated[float, Field(gt=0)] | None = None  # of a run; None: by the engine's profile
    load_seconds: Duration | None = None  # of a kind, each a model of its own; None: by the engine's profile
    machines: MachineParams = MachineParams()


@dataclass(frozen=True, slots=True)
class GeneratedTrace:
    """A generated trace with the engine and the machines that its parameters describe."""

    trace: Trace
    traits: Traits
    cost: CostModel
    machines: Machines


def read_params(path: Path) -> Params:
    """Read parameters from a TOML file. Raises InputError with every problem."""
    location = Location(str(path))
    try:
        value = tomllib.loads(path.read_bytes().decode())
    except OSError as exc:
        problem = location.problem("", f"cannot be read: {exc.strerror}", "name a TOML file")
        raise InputError([problem]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError([location.problem("", f"is not TOML: {exc}", "mend that line")]) from exc
    params, problems = validate(Params, value, location)
    if params is not None and params.urgent + params.low > 1:
        problems.append(location.problem("low", "is too large beside urgent", "give shares of 1 together at most"))
    if problems or params is None:
        raise InputError(problems)
    return params


def generate(params: Params, traits: Traits, cost: CostModel, file: str = "") -> GeneratedTrace:
    """Generate a trace. The same parameters give the same one. Raises InputError."""
    if params.load_seconds is not None:
        traits, cost = load_per_kind(traits), with_load_seconds(cost, params.load_seconds)
    kinds = _kinds(params, traits, Location(file))
    if params.run_seconds is not None:
        cost = with_run_seconds(cost, params.run_seconds, kinds[0][0], traits)
    machines = Machines(**params.machines.model_dump())
    return GeneratedTrace(_arrivals(params, kinds), traits, cost, machines)


_LEVELS = (Priority.NORMAL, Priority.URGENT, Priority.LOW)


def _kinds(params: Params, traits: Traits, location: Location) -> list[list[ResolvedRun]]:
    """The request of each kind, at each level of priority."""
    names = sorted(control.name for control in CONTROLS.values() if control.name in traits.controls)
    sets = [chosen for count in range(1, len(names) + 1) for chosen in combinations(names, count)]
    found: list[list[ResolvedRun]] = []
    for kind in range(params.kinds):
        sampling = Sampling(
            num_steps=params.num_steps,
            num_frames=params.num_frames,
            resolution=params.resolution,
            negative_prompt=f"kind {kind // len(sets)}",
        )
        controls = dict.fromkeys(sets[kind % len(sets)], 1.0)
        made = [problems_of(controls, sampling, level, traits, location) for level in _LEVELS]
        if made[0][1]:
            raise InputError(made[0][1])
        found.append([run for run, _ in made if run is not None])
    return found


def _arrivals(params: Params, kinds: list[list[ResolvedRun]]) -> Trace:
    dice = np.random.default_rng(params.seed)
    bursts = max(1, round(params.runs / params.burst))
    of_burst = np.sort(dice.integers(0, bursts, params.runs)) if params.burst > 1 else np.arange(params.runs)
    shares = 1.0 / np.arange(1, len(kinds) + 1) ** params.zipf
    kind = dice.choice(len(kinds), bursts if params.burst > 1 else params.runs, p=shares / shares.sum())
    owner = dice.integers(0, params.owners, len(kind))
    level = dice.choice(3, params.runs, p=(1 - params.urgent - params.low, params.urgent, params.low))
    at = np.sort(_moments(dice, len(kind), params))[of_burst]
    poisoned = np.flatnonzero(dice.random(params.runs) < params.poison)
    return Trace(
        templates=tuple(run for levels in kinds for run in levels),
        at=at,
        template=(kind[of_burst] * len(_LEVELS) + level).astype(np.int32),
        owners=tuple(f"owner {number}" for number in range(params.owners)),
        owner=owner[of_burst].astype(np.int32),
        breaks_at={int(place): max(1, params.num_steps // 2) for place in poisoned},
        facts=FACTS,
    )


def _moments(dice: np.random.Generator, count: int, params: Params) -> Seconds:
    """Moments of a Poisson process with a known number of events, whose rate swings over a day."""
    uniform = dice.random(count)
    if not params.day_curve:
        return uniform * params.seconds
    grid = np.linspace(0.0, params.seconds, 10_001)
    rate = 1.0 - params.day_curve * np.cos(2 * np.pi * grid / 86_400.0)
    total = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    return np.asarray(np.interp(uniform * total[-1], total, grid), np.float64)
