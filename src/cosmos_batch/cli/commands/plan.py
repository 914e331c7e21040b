"""`cosmos-batch plan` and `cosmos-batch check`: the plan of the runs, and the problems of their files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmos_batch.cli.render.console import console, print_error, print_problems, print_warnings
from cosmos_batch.cli.render.tables import draft_line, print_plan
from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.engines.registry import EngineChoice, Engines, cache_folder
from cosmos_batch.errors import Problem
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.drafts import drafts_of, drafts_to_dicts
from cosmos_batch.planning.open_settings import OpenSetting, open_settings
from cosmos_batch.planning.plan import Plan, plan_to_dict
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.requests import Requests, gather

SHOWN_WARNINGS = 20  # that `plan` and `run` print; `check` prints all


def usable(requests: Requests, skip_invalid: bool) -> bool:
    """Print the problems and warnings; returns whether the command goes on with the valid runs."""
    print_warnings(requests.warnings, limit=SHOWN_WARNINGS)
    count = print_problems(requests.problems)
    if count and not skip_invalid:
        print_error("nothing was done; correct the input, or use the valid runs alone with --skip-invalid")
        return False
    if not requests.runs:
        print_error("there is no run to make")
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutput:
    """Options of `cosmos-batch plan` about its input and output."""

    measured_in: Path | None  # an output folder whose measurements are used
    emit_to: Path | None  # the folder for the files of the engine's script
    as_json: bool
    skip_invalid: bool
    strict: bool
    overrides: Sequence[str] = ()  # settings in place of those of every run: "num_steps=4"


def plan_command(engines: Engines, files: Sequence[Path], choice: EngineChoice, wanted: PlanOutput) -> int:
    """Plan the runs of the files; returns the exit code. Raises CosmosBatchError."""
    preview = engines.preview(choice)
    requests = gather(files, preview.traits, preview.problems, strict=wanted.strict, overrides=wanted.overrides)
    if not usable(requests, wanted.skip_invalid):
        return 2
    cost = _measured_cost(preview.prior, wanted.measured_in)
    resolved = requests.resolved(preview.traits)
    plan = plan_runs(resolved, preview.traits, cost, facts=requests.facts)
    filled_in = open_settings(requests.runs, resolved)
    drafts = drafts_of(plan, preview.traits, cost, preview.drafts, requests.facts)
    written = _emit(plan, wanted.emit_to) if wanted.emit_to else ""
    if wanted.as_json:
        defaults = [setting.as_dict() for setting in filled_in]
        warnings = [_to_dict(warning) for warning in requests.warnings]
        whole = {
            **plan_to_dict(plan),
            "defaults": defaults,
            "warnings": warnings,
            "drafts": drafts_to_dicts(drafts),
        }
        print(json.dumps(whole, ensure_ascii=False))
    else:
        print_plan(console(), plan, cost.measured)
        _print_open(filled_in)
        for draft in drafts:
            print(safe(draft_line(draft, len(resolved))))
        print(written, end="")
    return 0


def _print_open(settings: Sequence[OpenSetting]) -> None:
    """Print the values of the settings that runs leave open."""
    if settings:
        print(safe("left open by runs, and so: " + "; ".join(map(str, settings)), 2000))


def _emit(plan: Plan, folder: Path) -> str:
    """Write the files of a plan; returns a line that names their folder."""
    from cosmos_batch.engines.nvidia.emit import emit
    from cosmos_batch.media.controls.cache import ControlCache

    emit(plan, folder, cache=ControlCache(cache_folder() / "controls"))
    return f"\nwritten to {safe(str(folder))}: {plural(len(plan.launches), 'command')} in commands.txt\n"


def _measured_cost(prior: CostModel, output: Path | None) -> CostModel:
    """The prior, fitted to the measurements of an output folder."""
    from cosmos_batch.cli.commands.status import ledgers_in
    from cosmos_batch.planning.cost.fit import fit

    if output is None:
        return prior
    measured = [
        one for ledger in ledgers_in(output) for one in ledger.measurements.latest(prior.engine, prior.device)
    ]
    return fit(measured, prior)


def _to_dict(warning: Problem) -> dict[str, object]:
    """The fields of a warning for JSON, without its level."""
    return {name: value for name, value in asdict(warning).items() if name != "level"}


def check_command(
    engines: Engines,
    files: Sequence[Path],
    choice: EngineChoice,
    *,
    strict: bool = False,
    overrides: Sequence[str] = (),
) -> int:
    """Report every problem and warning of the files, and of making their runs here; returns the exit code."""
    preview = engines.preview(choice)
    chosen = choice != EngineChoice()
    requests = gather(
        files, preview.traits, preview.problems, chosen=chosen, strict=strict, decode=True, overrides=overrides
    )
    warnings = print_warnings(requests.warnings)
    if print_problems(requests.problems):
        return 2
    counts = [
        plural(len(requests.runs), "run"),
        "no problem",
        *([plural(warnings, "warning")] if warnings else []),
    ]
    print(", ".join(counts))
    return 0 if requests.runs else 2
