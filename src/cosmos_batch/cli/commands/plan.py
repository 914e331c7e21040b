"""`cosmos-batch plan` and `cosmos-batch check`: what would be made, and what cannot be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.cli.load_runs import Requests, gather
from cosmos_batch.cli.render.console import complain, console, print_problems
from cosmos_batch.cli.render.tables import print_plan
from cosmos_batch.cli.render.text import safe, times
from cosmos_batch.engines.registry import EngineChoice, Engines, cache_folder
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Plan, plan_to_dict
from cosmos_batch.planning.planner import plan_runs


def usable(requests: Requests, skip_invalid: bool) -> bool:
    """Print the problems; whether the runs are to be used all the same."""
    count = print_problems(requests.problems)
    if count and not skip_invalid:
        complain("nothing was done; mend the input, or take the good runs alone with --skip-invalid")
        return False
    if not requests.runs:
        complain("there is no run to make")
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutput:
    """What else `cosmos-batch plan` is asked for."""

    measured_in: Path | None  # an output folder to learn costs from
    emit_to: Path | None  # where to write the files of the engine's script
    as_json: bool
    skip_invalid: bool


def plan_command(engines: Engines, files: Sequence[Path], choice: EngineChoice, ways: PlanOutput) -> int:
    """Plan the runs of the files; returns the exit code. Raises CosmosBatchError."""
    preview = engines.preview(choice)
    requests = gather(files, preview.traits)
    if not usable(requests, ways.skip_invalid):
        return 2
    cost = _learnt(preview.prior, ways.measured_in)
    plan = plan_runs(requests.resolved(preview.traits), preview.traits, cost, facts=requests.facts)
    written = _emitted(plan, ways.emit_to) if ways.emit_to else ""
    if ways.as_json:
        print(json.dumps(plan_to_dict(plan), ensure_ascii=False))
    else:
        print_plan(console(), plan, cost.measured)
        print(written, end="")
    return 0


def _emitted(plan: Plan, folder: Path) -> str:
    """Write the files of a plan; returns a line that says where they are."""
    from cosmos_batch.engines.nvidia.emit import emit
    from cosmos_batch.media.controls.cache import ControlCache

    emit(plan, folder, cache=ControlCache(cache_folder() / "controls"))
    return f"\nwritten to {safe(str(folder))}: {times(len(plan.launches), 'command')} in commands.txt\n"


def _learnt(prior: CostModel, output: Path | None) -> CostModel:
    """The prior, corrected by what was measured in an output folder."""
    from cosmos_batch.cli.commands.status import open_ledger
    from cosmos_batch.planning.cost.fit import fit

    if output is None:
        return prior
    ledger = open_ledger(output)
    try:
        return fit(ledger.measurements.latest(prior.engine, prior.device), prior)
    finally:
        ledger.close()


def check_command(engines: Engines, files: Sequence[Path], choice: EngineChoice | None) -> int:
    """Report every problem of the files; returns the exit code."""
    traits = engines.preview(choice).traits if choice else None
    requests = gather(files, traits)
    if print_problems(requests.problems):
        return 2
    print(f"{times(len(requests.runs), 'run')}, no problem")
    return 0 if requests.runs else 2
