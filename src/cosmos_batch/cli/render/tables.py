"""Tables that commands print: plans, and states of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.progress import STYLES, plan_line
from cosmos_batch.cli.render.text import duration, plural, safe, size
from cosmos_batch.errors import kind_of_cause
from cosmos_batch.ledger.models import RunStatus, State
from cosmos_batch.planning.drafts import Draft
from cosmos_batch.planning.plan import Batch, Launch, Plan

SHOWN_LAUNCHES = 40
SHOWN_RUNS = 20  # rows of a list; a longer one is summarised
SHOWN_CAUSES = 20
EXAMPLES = 3  # ids beside a cause


def print_plan(console: Console, plan: Plan, measured: int) -> None:
    """Print launches with their batches and reasons, and the savings of the plan."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in (("launch", "right"), ("runs", "right"), ("batches of", "left"), ("size", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("time", "memory"):
        table.add_column(name, justify="right")
    table.add_column("why together", overflow="fold")
    for launch in plan.launches[:SHOWN_LAUNCHES]:
        table.add_row(*(Text(cell) for cell in _launch_cells(launch)))
    console.print(table)
    if len(plan.launches) > SHOWN_LAUNCHES:
        console.print(Text(f"and {len(plan.launches) - SHOWN_LAUNCHES:,} more launches; --json shows all of them"))
    console.print()
    for line in plan_lines(plan, measured):
        console.print(Text(line))


def plan_lines(plan: Plan, measured: int) -> list[str]:
    """Totals of the plan, its savings, and the error of its predictions."""
    return [
        f"{plan_line(plan)}, at most {size(plan.bytes)} of device memory",
        _saving(plan, plan.one_by_one_seconds, "one by one, each run in a launch of its own"),
        _saving(plan, plan.forced_seconds, "one by one, with every control forced on every run"),
        _prediction_error(plan.error, measured),
    ]


def draft_line(draft: Draft, runs: int) -> str:
    """What a draft of a plan of so many runs costs, and how it is asked for."""
    some = f" for {draft.runs:,} of {runs:,} runs" if draft.runs < runs else ""
    asked = f"--model {draft.model}" if draft.model else f"num_steps {draft.steps}"
    cost = f"about {duration(draft.seconds)} in place of {duration(draft.in_place_of)}"
    return f"a draft{some}: {draft.what}, {cost} ({asked})"


def _saving(plan: Plan, other: float, name: str) -> str:
    """Compare the plan with another way; a share that is shown as 0 is none."""
    percent = round(100 * plan.saving(other))
    said = f"saves {percent}%" if percent > 0 else f"takes {-percent}% longer" if percent < 0 else "saves nothing"
    return f"{name}: about {duration(other)}; this plan {said}"


def _prediction_error(error: float | None, measured: int) -> str:
    if error is not None:
        return f"times fitted to {plural(measured, 'batch')}; past predictions were {error:.0%} off (median)"
    return "times are estimates: no measurements of this folder or machine are used"


def _launch_cells(launch: Launch) -> tuple[str, ...]:
    sizes = Counter(len(batch.runs) for batch in launch.batches)
    batches = ", ".join(f"{count} x {runs}" for runs, count in sorted(sizes.items(), reverse=True))
    shapes = dict.fromkeys(_shape(batch) for batch in launch.batches)
    shown = list(shapes)[:2] + ([f"and {len(shapes) - 2} more"] if len(shapes) > 2 else [])
    peak = max(batch.bytes for batch in launch.batches)
    return (
        str(launch.index + 1),
        str(len(launch.runs)),
        batches,
        "; ".join(shown),
        duration(launch.seconds),
        size(peak),
        safe(launch.reason),
    )


def _shape(batch: Batch) -> str:
    """Size in the network, frames, and the sizes of the finished videos where these are others."""
    width, height = batch.shape.width, batch.shape.height
    kept = [f"{w}x{h}" for w, h in batch.output_sizes if (w, h) != (width, height)]
    shown = ", ".join([*kept[:2], *(["..."] if len(kept) > 2 else [])])
    return f"{width}x{height}, {batch.shape.frames} f" + (f", kept as {shown}" if kept else "")


def print_statuses(
    console: Console, statuses: Sequence[RunStatus], *, all_rows: bool = False, with_successes: bool = False
) -> None:
    """Print the number of runs by state, and those that did not succeed: each, or the causes of many.

    `all_rows`: print every run; `with_successes`: those that succeeded too, where they are few.
    """
    shown = [s for s in statuses if all_rows or with_successes or s.state is not State.SUCCEEDED or _missed(s)]
    if all_rows or len(shown) <= SHOWN_RUNS:
        if shown:
            console.print(_status_table(shown))
        console.print(Text(_counts(statuses)))
        return
    console.print(Text(_counts(statuses)))
    print_causes(console, (RunLine(s.id, s.state, s.cause) for s in shown))
    console.print(Text("--all lists every run; manifest.jsonl has those of the latest command"))


def _missed(status: RunStatus) -> bool:
    """Whether a run has a video that does not reach the scores that it had to."""
    return status.state is State.SUCCEEDED and status.acceptance.get("accepted") is False


def _counts(statuses: Sequence[RunStatus]) -> str:
    counts = Counter(status.state for status in statuses)
    parts = [f"{counts[state]:,} {state}" for state in State if counts[state]]
    if missed := sum(map(_missed, statuses)):
        parts.append(f"{missed:,} of them not accepted")
    return f"{plural(len(statuses), 'run')}: {', '.join(parts) or 'none'}"


class RunLine(NamedTuple):
    """What a list says of a run."""

    run_id: str
    state: str
    cause: str


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that runs of one state have in common, but for ids and numbers in it."""

    state: str
    cause: str  # as the first of the runs has it
    run_ids: tuple[str, ...]


def causes_of(lines: Iterable[RunLine]) -> list[Cause]:
    """The causes of runs, the most frequent first."""
    groups: dict[tuple[str, str], list[RunLine]] = {}
    for line in lines:
        groups.setdefault((line.state, kind_of_cause(line.cause, line.run_id)), []).append(line)
    found = [
        Cause(state, group[0].cause, tuple(line.run_id for line in group)) for (state, _), group in groups.items()
    ]
    return sorted(found, key=lambda each: (-len(each.run_ids), each.state, each.cause))


def print_causes(console: Console, lines: Iterable[RunLine]) -> None:
    """Print a table of the causes of runs, with the number of runs and a few ids of each."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("runs", justify="right")
    for name in ("state", "cause", "for example"):
        table.add_column(name, overflow="fold")
    causes = causes_of(lines)
    for each in causes[:SHOWN_CAUSES]:
        examples = ", ".join(each.run_ids[:EXAMPLES]) + (", …" if len(each.run_ids) > EXAMPLES else "")
        style = STYLES.get(State(each.state), "") if each.state in set(State) else ""
        cells = (Text(safe(each.state), style), Text(safe(each.cause, 300)), Text(safe(examples, 200)))
        table.add_row(f"{len(each.run_ids):,}", *cells)
    if rest := causes[SHOWN_CAUSES:]:
        count = sum(len(each.run_ids) for each in rest)
        table.add_row(f"{count:,}", "", f"of {plural(len(rest), 'other cause')}", "")
    console.print(table)


def _status_table(statuses: Iterable[RunStatus]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "state", "steps", "time"):
        table.add_column(name)
    table.add_column("cause", overflow="fold")
    for status in statuses:
        steps = f"{status.step} of {status.steps}" if status.steps else ""
        seconds = "" if status.seconds is None else duration(status.seconds)
        quiet = status.state is State.SUCCEEDED and not status.acceptance
        cause = "" if quiet else safe(status.cause, 300)
        state = Text(status.state, STYLES.get(status.state, ""))
        table.add_row(Text(safe(status.id)), state, steps, seconds, Text(cause))
    return table
