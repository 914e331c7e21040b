"""Progress of a command: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.cli.render.text import duration, plural, safe
from cosmos_batch.ledger.models import State
from cosmos_batch.planning.plan import Plan

PLAIN_SECONDS = 5.0  # between two plain lines about progress
SHOWN_RUNS = 12  # running runs in the display
STYLES = {State.SUCCEEDED: "green", State.FAILED: "red", State.BLOCKED: "yellow"}


class PlainProgress:
    """Prints a line for every event, and the steps every few seconds."""

    def __init__(self, stream: TextIO, progress: ProgressState, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._progress = progress
        self._clock = clock
        self._last = clock()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.flush()

    def planned(self, plan: Plan) -> None:
        """Print the plan in a line."""
        self._progress.plan(plan)
        self._say(plan_line(plan))

    def launched(self, reason: str, runs: int) -> None:
        """Print the launch and its reason."""
        self._progress.launch()
        self._say(f"a launch of {plural(runs, 'run')}: {safe(reason)}")

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Print the runs of the batch."""
        self._progress.begin(run_ids)
        self._say(f"batch {batch}: {safe(', '.join(run_ids), 200)}")

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Print the progress, at most once in `PLAIN_SECONDS`."""
        self._progress.step(run_id, step, steps)
        if self._clock() - self._last >= PLAIN_SECONDS:
            self._last = self._clock()
            in_progress = ", ".join(f"{id_} {steps_done(*steps)}" for id_, steps in self._progress.running.items())
            self._say(f"{headline(self._progress)}; {safe(in_progress, 200)}")

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Print the end of a run's attempt."""
        self._progress.change(run_id, state)
        self._say(f"{safe(run_id)}: {state}" + (f": {safe(cause, 500)}" if cause else ""))

    def noted(self, message: str) -> None:
        """Print a message."""
        self._say(safe(message, 1000))

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveProgress:
    """A display that is redrawn in place."""

    def __init__(self, console: Console, progress: ProgressState) -> None:
        self._console = console
        self._progress = progress
        self._launch = self._batch = ""
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def planned(self, plan: Plan) -> None:
        """Print the plan above the display."""
        self._progress.plan(plan)
        self._console.print(Text(plan_line(plan)))

    def launched(self, reason: str, _runs: int) -> None:
        """Show the reason of the launch."""
        self._progress.launch()
        self._launch = safe(reason)

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Show the batch."""
        self._batch = f"batch {batch} of {plural(len(run_ids), 'run')}"
        self._progress.begin(run_ids)

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Show the step."""
        self._progress.step(run_id, step, steps)

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Count the end of an attempt; print it if it has a cause."""
        self._progress.change(run_id, state)
        if cause:
            self._console.print(Text(f"{safe(run_id)}: {state}: {safe(cause, 500)}", STYLES.get(state, "")))

    def noted(self, message: str) -> None:
        """Print a message above the display."""
        self._console.print(Text(safe(message, 1000)))

    def _render(self) -> Group:
        progress = self._progress
        rows = Table.grid(padding=(0, 2))
        for run_id, (step, steps) in list(progress.running.items())[:SHOWN_RUNS]:
            bar = ProgressBar(total=max(steps, 1), completed=step, width=30)
            rows.add_row(Text(safe(run_id, 40)), bar, Text(steps_done(step, steps)))
        more = len(progress.running) - SHOWN_RUNS
        rest = [Text(f"and {more} more")] if more > 0 else []
        overall = Table.grid()  # a bar outside a table does not end its line
        overall.add_row(ProgressBar(total=max(progress.total, 1), completed=progress.ended, width=60))
        return Group(
            Text(headline(progress), "bold"),
            overall,
            Text(f"{self._batch}; {self._launch}" if self._batch else self._launch, "dim"),
            rows,
            *rest,
        )


def steps_done(step: int, steps: int) -> str:
    """Steps done by a run; of 0 steps: not known yet."""
    return f"step {step} of {steps}" if steps else "starting"


def headline(progress: ProgressState) -> str:
    """Progress of the command in a line."""
    failures = [(state, progress.count(state)) for state in (State.FAILED, State.BLOCKED)]
    counts = [f"{count} {state}" for state, count in failures if count]
    remaining = [] if progress.left is None else [f"about {duration(progress.left)} left"]
    return ", ".join([f"{progress.ended} of {plural(progress.total, 'run')} done", *counts, *remaining])


def plan_line(plan: Plan) -> str:
    """Summary of a plan in a line."""
    batches = [batch for launch in plan.launches for batch in launch.batches]
    runs = sum(len(batch.runs) for batch in batches)
    parts = [plural(runs, "run"), plural(len(batches), "batch"), plural(len(plan.launches), "launch")]
    return f"{' in '.join(parts)}, about {duration(plan.seconds)}"
