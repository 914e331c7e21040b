"""`cosmos-batch expand`: the number of runs of a sweep, the first ones, and their predicted time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cosmos_batch.cli.commands.plan import usable
from cosmos_batch.cli.render.text import duration, plural, safe
from cosmos_batch.engines.registry import EngineChoice, Engines
from cosmos_batch.formats.native import record_of
from cosmos_batch.media.atomic import replacing
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.requests import gather
from cosmos_batch.run import Run

SHOWN = 10  # runs that are printed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandOutput:
    """Options of `cosmos-batch expand` about its input and output."""

    write_to: Path | None  # the JSONL file of all runs
    as_json: bool
    skip_invalid: bool
    overrides: Sequence[str] = ()  # settings in place of those of every run: "num_steps=4"


def expand_command(engines: Engines, files: Sequence[Path], choice: EngineChoice, wanted: ExpandOutput) -> int:
    """Expand the files to runs; returns the exit code. Raises CosmosBatchError."""
    preview = engines.preview(choice)
    requests = gather(files, preview.traits, preview.problems, overrides=wanted.overrides)
    if not usable(requests, wanted.skip_invalid):
        return 2
    runs = requests.runs
    if wanted.write_to is not None:
        _write(wanted.write_to, runs)
    plan = plan_runs(requests.resolved(preview.traits), preview.traits, preview.prior, facts=requests.facts)
    if wanted.as_json:
        first = [record_of(run, {}) for run in runs[:SHOWN]]
        print(json.dumps({"runs": len(runs), "seconds": plan.seconds, "first": first}, ensure_ascii=False))
        return 0
    print(f"{plural(len(runs), 'run')}; about {duration(plan.seconds)} on one device, by {safe(plan.engine)}")
    for run in islice(runs, SHOWN):
        print(safe(f"  {run.id}: {run.prompt}", 140))
    if len(runs) > SHOWN:
        print(f"  and {len(runs) - SHOWN:,} more")
    if wanted.write_to is not None:
        print(f"written to {safe(str(wanted.write_to))}")
    return 0


def _write(path: Path, runs: Iterable[Run]) -> None:
    """Write the runs as native JSONL. Raises StorageError."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record_of(run, {}), ensure_ascii=False) + "\n" for run in runs)
