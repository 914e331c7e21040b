"""`make demo`: the standard scenario with the embedded model, and the savings of planning.

Makes demo/runs.jsonl and its input videos, plans and makes the ten videos into demo/videos, then makes them twice
more: four at once, whatever their controls, which a GPU would gain by and two cores do not; and with all four
controls forced on every run. All three in this process, each with an engine of its own that has warmed up, and
caches that start empty.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cosmos_batch.cli.render.contact_sheet import write_contact_sheets
from cosmos_batch.cli.render.progress import LiveProgress, PlainProgress
from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.cli.render.tables import print_plan, print_statuses
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.settings import StopToken
from cosmos_batch.engines.base import Engine, Loaded
from cosmos_batch.engines.inprocess import pocket
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.registry import profile
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import read_frames
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.requests import Requests, gather
from examples.scenario import forced, write_scenario

DEMO = Path("demo")
COST = profile("pocket", "cpu")


@dataclass(frozen=True)
class Variant:
    """A way to make the ten videos."""

    name: str
    folder: Path
    file: Path
    cost: CostModel  # by which batches are planned


@dataclass(frozen=True)
class Result:
    """Time and states of the runs of a variant."""

    variant: Variant
    seconds: float
    statuses: list[RunStatus]
    requests: Requests


def warm_engine(scratch: Path) -> Engine:
    """Load the engine with every branch and make one video of two steps. The cache of controls is empty."""
    engine = load_engine(str(pocket.MODEL), TRANSFER_CONTROLS, ControlCache(scratch / "controls"))
    lines = [json.loads(line) for line in (DEMO / "runs.jsonl").read_text().splitlines()]
    lines[-1]["execution_config"] |= {"num_steps": 2, "seed": 999}
    warm_up = DEMO / "warm_up.json"
    warm_up.write_text(json.dumps(lines[-1]))
    make(engine, Variant("warm-up", scratch / "videos", warm_up, COST), show=False)
    warm_up.unlink()
    return engine


def make(engine: Engine, variant: Variant, *, show: bool) -> Result:
    """Make the runs of a variant; the time is that of dispatching, from admission to the last record."""
    requests = gather([variant.file], engine.traits)
    assert not requests.problems, requests.problems
    state = ProgressState(time.monotonic, len(requests.runs))
    live = show and sys.stdout.isatty()
    quiet = open("/dev/null", "w")  # noqa: SIM115 - lives as long as the display
    plain = PlainProgress(sys.stdout if show else quiet, state, time.monotonic)
    command = Command(
        requests.resolved(engine.traits),
        Loaded(engine, variant.cost),
        requests.facts,
    )
    with LiveProgress(Console(), state) if live else plain as progress, OutputDirectory(variant.folder) as folder:
        started = time.monotonic()
        statuses = execute(command, folder, progress, StopToken())
        seconds = time.monotonic() - started
    quiet.close()
    return Result(variant, seconds, statuses, requests)


def show_plan(engine: Engine, file: Path) -> None:
    """Print the plan as `cosmos-batch plan` does."""
    requests = gather([file], engine.traits)
    print_plan(
        Console(),
        plan_runs(requests.resolved(engine.traits), engine.traits, COST, facts=requests.facts),
        measured=0,
    )


def write_forced(file: Path) -> Path:
    """Write the runs with all four controls forced on every run; returns the file."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    # Runs that lack a control video use that of another run: it is loaded, encoded and computed like their own
    lender = lines[-1]["inputs"]
    controls = {name: lender[name] for name in ("depth", "seg")}
    target = file.with_name("forced.jsonl")
    target.write_text("".join(json.dumps(forced(line, controls)) + "\n" for line in lines))
    return target


def largest_difference(ids: Sequence[str], one: Path, other: Path) -> int:
    """The largest difference of any pixel of any frame, of 255."""
    return max(int(np.abs(_output(one, id_).astype(int) - _output(other, id_).astype(int)).max()) for id_ in ids)


def _output(folder: Path, run_id: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return read_frames(folder / run_id / "output.mp4")


def print_savings(made: Sequence[Result]) -> None:
    """Print a table of the three variants."""
    planned = made[0]
    table = Table(title="The same ten videos, made in three ways in one process", title_justify="left")
    for heading in ("", "seconds", "times as planned", "largest pixel difference"):
        table.add_column(heading, justify="left" if not heading else "right")
    for one in made:
        ids = [status.id for status in one.statuses]
        difference = largest_difference(ids, planned.variant.folder, one.variant.folder)
        against = "" if one is planned else f"{difference}/255"
        table.add_row(one.variant.name, f"{one.seconds:.1f}", f"{one.seconds / planned.seconds:.2f}", against)
    Console().print(table)


def main() -> int:
    """Run the demo; returns 0 if every video was made."""
    shutil.rmtree(DEMO, ignore_errors=True)
    file = write_scenario(DEMO)
    print(f"ten runs in {file}, their videos in {DEMO / 'inputs'}")
    with tempfile.TemporaryDirectory() as scratch:
        variants = [
            Variant("as planned", DEMO / "videos", file, COST),
            Variant(
                "four at once",
                Path(scratch) / "four",
                file,
                replace(COST, knee_tokens=4 * (COST.knee_tokens or 1)),
            ),
            Variant("all controls forced", Path(scratch) / "forced", write_forced(file), COST),
        ]
        made = []
        for index, variant in enumerate(variants):
            engine = warm_engine(Path(scratch) / str(index))
            if index == 0:
                show_plan(engine, file)
            print(f"\n{variant.name}")
            made.append(make(engine, variant, show=index == 0))
        planned = made[0]
        sheets = write_contact_sheets(planned.variant.folder, planned.requests.runs, planned.statuses)
        print_statuses(Console(), planned.statuses, all_rows=True)
        print_savings(made)
    print(f"videos: {planned.variant.folder}/<run>/output.mp4; all of them at a glance: {sheets[0]}")
    return 0 if all(status.state is State.SUCCEEDED for one in made for status in one.statuses) else 1


if __name__ == "__main__":
    sys.exit(main())
