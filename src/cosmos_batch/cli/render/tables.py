"""What commands print at their end: plans, summaries, standings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.progress import STYLES, plan_line
from cosmos_batch.cli.render.text import duration, safe, size, times
from cosmos_batch.ledger.models import RunStatus, State
from cosmos_batch.planning.plan import Launch, Plan

SHOWN_LAUNCHES = 40
SHOWN_RUNS = 50


def print_plan(console: Console, plan: Plan, measured: int) -> None:
    """Launches with their batches and reasons, and what the plan saves."""
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
    """The plan in total, what it saves, and how far its numbers may be trusted."""
    return [
        f"{plan_line(plan)}, at most {size(plan.bytes)} of device memory",
        _saving(plan, plan.one_by_one_seconds, "one by one, each run in a launch of its own"),
        _saving(plan, plan.forced_seconds, "one by one, with every control forced on every run"),
        _trust(plan.error, measured),
    ]


def _saving(plan: Plan, other: float, what: str) -> str:
    return f"{what}: about {duration(other)}; this plan saves {plan.saving(other):.0%}"


def _trust(error: float | None, measured: int) -> str:
    if error is not None:
        return f"times learnt from {times(measured, 'batch')}; past predictions were {error:.0%} off (median)"
    return "times are estimates: nothing was measured here yet"


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


def print_standings(console: Console, standings: Sequence[RunStatus], *, everything: bool = False) -> None:
    """A count by state, and a table: of every run, or of those that did not succeed."""
    counts = Counter(standing.state for standing in standings)
    shown = [s for s in standings if everything or s.state is not State.SUCCEEDED]
    if shown:
        console.print(_standings_table(shown[:SHOWN_RUNS]))
        if len(shown) > SHOWN_RUNS:
            console.print(Text(f"and {len(shown) - SHOWN_RUNS:,} more; manifest.jsonl lists every one"))
    parts = [f"{counts[state]:,} {state}" for state in State if counts[state]]
    console.print(Text(f"{times(len(standings), 'run')}: {', '.join(parts) or 'none'}"))


def _standings_table(standings: Iterable[RunStatus]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "state", "steps", "time"):
        table.add_column(name)
    table.add_column("cause", overflow="fold")
    for standing in standings:
        steps = f"{standing.step} of {standing.steps}" if standing.steps else ""
        seconds = "" if standing.seconds is None else duration(standing.seconds)
        cause = "" if standing.state is State.SUCCEEDED else safe(standing.cause, 300)
        state = Text(standing.state, STYLES.get(standing.state, ""))
        table.add_row(Text(safe(standing.id)), state, steps, seconds, Text(cause))
    return table
