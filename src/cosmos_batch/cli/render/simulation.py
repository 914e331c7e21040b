"""The table of simulations: a row for each policy."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.text import duration, plural
from cosmos_batch.simulation.summary import Summary, Waits

_COLUMNS = (
    "makespan",
    "over the bound",
    "wait p50 / p99 / max",
    "until the video p50 / p99",
    "urgent wait p50 / p99",
    "GPU time",
    "in use",
    "loads",
    "preempted",
    "fairness",
)


def print_simulations(console: Console, summaries: Sequence[Summary], gpus: int, error: float | None) -> None:
    """Print a row for each policy, and what all have in common."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("policy", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for summary in summaries:
        table.add_row(*(Text(cell) for cell in _cells(summary)))
    console.print(table)
    if summaries:
        first = summaries[0]
        console.print(
            Text(f"{plural(first.runs, 'run')} on {plural(gpus, 'GPU')}; at least {duration(first.bound)}")
        )
    for summary in summaries:
        for line in _troubles(summary):
            console.print(Text(f"{summary.policy}: {line}"))
    console.print(Text(_error_line(error)))


def _cells(summary: Summary) -> tuple[str, ...]:
    totals = summary.totals
    over = summary.makespan / summary.bound - 1 if summary.bound else 0.0
    return (
        summary.policy,
        duration(summary.makespan),
        f"{over:.1%}",
        _waits(summary.waits, longest=True),
        _waits(summary.turnaround, longest=False),
        _waits(summary.urgent, longest=False),
        duration(summary.gpu_seconds),
        f"{summary.use:.0%}",
        f"{totals.loads:,}",
        f"{totals.preemptions:,}",
        "" if summary.fairness is None else f"{summary.fairness:.3f}",
    )


def _waits(waits: Waits, *, longest: bool) -> str:
    if waits.p50 is None or waits.p99 is None or waits.longest is None:
        return ""
    shown = [waits.p50, waits.p99, *([waits.longest] if longest else [])]
    return " / ".join(f"{seconds:,.0f} s" for seconds in shown)


def _troubles(summary: Summary) -> list[str]:
    totals = summary.totals
    counts = (
        (totals.machine_failures, "failure of a machine", "failures of machines"),
        (totals.reclaims, "reclaim of a machine", "reclaims of machines"),
        (totals.crashes, "crash of a worker", "crashes of workers"),
        (totals.lost_steps, "step done again", "steps done again"),
        (summary.failed, "run without a video", "runs without a video"),
    )
    found = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    return [", ".join(found)] if found else []


def _error_line(error: float | None) -> str:
    if error is None:
        return "times are those of the profile, exactly; nothing measured says how far they are off"
    return f"times deviate from the predicted ones at random, by {error:.0%} in the median, as measured"
