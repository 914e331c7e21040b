"""Tables that commands print: plans, and states of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.progress import STYLES, plan_line
from cosmos_batch.cli.render.text import duration, plural, safe, size
from cosmos_batch.ledger.models import RunStatus, State
from cosmos_batch.planning.plan import Launch, Plan

SHOWN_LAUNCHES = 40
SHOWN_RUNS = 50


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


def _saving(plan: Plan, other: float, name: str) -> str:
    return f"{name}: about {duration(other)}; this plan saves {plan.saving(other):.0%}"


def _prediction_error(error: float | None, measured: int) -> str:
    if error is not None:
        return f"times fitted to {plural(measured, 'batch')}; past predictions were {error:.0%} off (median)"
    return "times are estimates: no measurements of this folder or machine are used"


def _launch_cells(launch: Launch) -> tuple[str, ...]:
    sizes = Counter(len(batch.runs) for batch in launch.batches)
    batches = ", ".join(f"{count} x {runs}" for runs, count in sorted(sizes.items(), reverse=True))
    shapes = dict.fromkeys(f"{b.shape.width}x{b.shape.height}, {b.shape.frames} f" for b in launch.batches)
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


def print_statuses(console: Console, statuses: Sequence[RunStatus], *, everything: bool = False) -> None:
    """Print the number of runs by state, and a table of every run, or of those that did not succeed."""
    counts = Counter(status.state for status in statuses)
    shown = [s for s in statuses if everything or s.state is not State.SUCCEEDED]
    if shown:
        console.print(_status_table(shown[:SHOWN_RUNS]))
        if len(shown) > SHOWN_RUNS:
            console.print(Text(f"and {len(shown) - SHOWN_RUNS:,} more; manifest.jsonl lists every one"))
    parts = [f"{counts[state]:,} {state}" for state in State if counts[state]]
    console.print(Text(f"{plural(len(statuses), 'run')}: {', '.join(parts) or 'none'}"))


def _status_table(statuses: Iterable[RunStatus]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "state", "steps", "time"):
        table.add_column(name)
    table.add_column("cause", overflow="fold")
    for status in statuses:
        steps = f"{status.step} of {status.steps}" if status.steps else ""
        seconds = "" if status.seconds is None else duration(status.seconds)
        cause = "" if status.state is State.SUCCEEDED else safe(status.cause, 300)
        state = Text(status.state, STYLES.get(status.state, ""))
        table.add_row(Text(safe(status.id)), state, steps, seconds, Text(cause))
    return table
