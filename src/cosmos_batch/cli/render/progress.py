"""What a command shows while it works: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.cli.render.text import duration, safe, times
from cosmos_batch.ledger.models import State
from cosmos_batch.planning.plan import Plan

PLAIN_SECONDS = 5.0  # between two plain lines about progress
SHOWN_RUNS = 12  # runs at work that a display has room for
STYLES = {State.SUCCEEDED: "green", State.FAILED: "red", State.BLOCKED: "yellow"}


class PlainProgress:
    """A line for everything that ends, and one every few seconds in between."""

    def __init__(self, stream: TextIO, tally: ProgressState, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._tally = tally
        self._clock = clock
        self._last = clock()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.flush()

    def planned(self, plan: Plan) -> None:
        """Say what is planned."""
        self._tally.plan(plan)
        self._say(plan_line(plan))

    def launched(self, reason: str, runs: int) -> None:
        """Say what is launched, and why."""
        self._say(f"a launch of {times(runs, 'run')}: {safe(reason)}")

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Say who is in the batch."""
        self._tally.begin(run_ids)
        self._say(f"batch {batch}: {safe(', '.join(run_ids), 200)}")

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Say how far everything is, if it was not said just now."""
        self._tally.step(run_id, step, steps)
        if self._clock() - self._last >= PLAIN_SECONDS:
            self._last = self._clock()
            under_way = ", ".join(f"{id_} {steps_done(*steps)}" for id_, steps in self._tally.at_work.items())
            self._say(f"{headline(self._tally)}; {safe(under_way, 200)}")

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Say how a run's attempt ended."""
        self._tally.change(run_id, state)
        self._say(f"{safe(run_id)}: {state}" + (f": {safe(cause, 500)}" if cause else ""))

    def noted(self, message: str) -> None:
        """Say it."""
        self._say(safe(message, 1000))

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveProgress:
    """A display that is drawn anew in its place."""

    def __init__(self, console: Console, tally: ProgressState) -> None:
        self._console = console
        self._tally = tally
        self._launch = self._batch = ""
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def planned(self, plan: Plan) -> None:
        """Print what is planned, above the display."""
        self._tally.plan(plan)
        self._console.print(Text(plan_line(plan)))

    def launched(self, reason: str, _runs: int) -> None:
        """Show why the launch is as it is."""
        self._launch = safe(reason)

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Show the batch."""
        self._batch = f"batch {batch} of {times(len(run_ids), 'run')}"
        self._tally.begin(run_ids)

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Show the step."""
        self._tally.step(run_id, step, steps)

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Print how a run ended, unless it succeeded: then it is one more of those that are counted."""
        self._tally.change(run_id, state)
        if cause:
            self._console.print(Text(f"{safe(run_id)}: {state}: {safe(cause, 500)}", STYLES.get(state, "")))

    def noted(self, message: str) -> None:
        """Print it, above the display."""
        self._console.print(Text(safe(message, 1000)))

    def _render(self) -> Group:
        tally = self._tally
        rows = Table.grid(padding=(0, 2))
        for run_id, (step, steps) in list(tally.at_work.items())[:SHOWN_RUNS]:
            bar = ProgressBar(total=max(steps, 1), completed=step, width=30)
            rows.add_row(Text(safe(run_id, 40)), bar, Text(steps_done(step, steps)))
        more = len(tally.at_work) - SHOWN_RUNS
        rest = [Text(f"and {more} more")] if more > 0 else []
        overall = Table.grid()  # a bar by itself does not end its line
        overall.add_row(ProgressBar(total=max(tally.total, 1), completed=tally.ended, width=60))
        return Group(
            Text(headline(tally), "bold"),
            overall,
            Text(f"{self._batch}; {self._launch}" if self._batch else self._launch, "dim"),
            rows,
            *rest,
        )


def steps_done(step: int, steps: int) -> str:
    """How far a run is; 0 steps in all: not known yet."""
    return f"step {step} of {steps}" if steps else "starting"


def headline(tally: ProgressState) -> str:
    """How far the command is, in a line."""
    counts = [f"{tally.count(state)} {state}" for state in (State.FAILED, State.BLOCKED) if tally.count(state)]
    left = tally.left
    ahead = [] if left is None else [f"about {duration(left)} left"]
    return ", ".join([f"{tally.ended} of {times(tally.total, 'run')} done", *counts, *ahead])


def plan_line(plan: Plan) -> str:
    """A plan in a line."""
    batches = [batch for launch in plan.launches for batch in launch.batches]
    runs = sum(len(batch.runs) for batch in batches)
    parts = [times(runs, "run"), times(len(batches), "batch"), times(len(plan.launches), "launch")]
    return f"{' in '.join(parts)}, about {duration(plan.seconds)}"
