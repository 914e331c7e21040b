"""`cosmos-batch plan` and `cosmos-batch check`: what would be made, and what cannot be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.cli.output import complain, console, print_problems
from cosmos_batch.cli.reports import print_plan
from cosmos_batch.cli.requests import Requests, gather
from cosmos_batch.cli.text import times
from cosmos_batch.cli.wiring import Choice, Engines
from cosmos_batch.planning.cost import CostModel
from cosmos_batch.planning.plan import plan_to_dict
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


def plan_command(
    engines: Engines,
    files: Sequence[Path],
    choice: Choice,
    output: Path | None,
    *,
    as_json: bool,
    skip_invalid: bool,
) -> int:
    """Plan the runs of the files; returns the exit code. Raises PlanError and EngineError."""
    preview = engines.preview(choice)
    requests = gather(files, preview.traits)
    if not usable(requests, skip_invalid):
        return 2
    cost = _learnt(preview.prior, output)
    plan = plan_runs(requests.settled(preview.traits), preview.traits, cost, facts=requests.facts)
    if as_json:
        print(json.dumps(plan_to_dict(plan), ensure_ascii=False))
    else:
        print_plan(console(), plan, cost.measured)
    return 0


def _learnt(prior: CostModel, output: Path | None) -> CostModel:
    """The prior, corrected by what was measured in an output folder."""
    from cosmos_batch.cli.standing import open_ledger
    from cosmos_batch.planning.fitting import fit

    if output is None:
        return prior
    ledger = open_ledger(output)
    try:
        return fit(ledger.measurements(prior.engine, prior.device), prior)
    finally:
        ledger.close()


def check_command(engines: Engines, files: Sequence[Path], choice: Choice | None) -> int:
    """Report every problem of the files; returns the exit code."""
    traits = engines.preview(choice).traits if choice else None
    requests = gather(files, traits)
    if print_problems(requests.problems):
        return 2
    print(f"{times(len(requests.runs), 'run')}, no problem")
    return 0 if requests.runs else 2
