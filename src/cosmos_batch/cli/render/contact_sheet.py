"""The contact sheet of a command: input, controls and output of its runs, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosmos_batch.dispatch.output.directory import OUTPUT
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.contact_sheet import SheetRow, write_sheets
from cosmos_batch.run import Run

SHEET_RUNS = 96  # drawing more takes minutes

_CONTROL = re.compile(r"control_([a-z]+)\.mp4")


def write_contact_sheets(folder: Path, runs: Sequence[Run], statuses: Sequence[RunStatus]) -> list[Path]:
    """Draw the first runs of the command; return the sheets. Raises MediaError."""
    by_id = {status.id: status for status in statuses}
    return write_sheets(folder, [_row(folder, run, by_id) for run in runs[:SHEET_RUNS]])


def _row(folder: Path, run: Run, statuses: Mapping[str, RunStatus]) -> SheetRow:
    home, state = folder / run.id, statuses[run.id].state
    done = state is State.SUCCEEDED
    return SheetRow(
        id=run.id,
        prompt=run.prompt,
        weights={control.name: control.weight for control in run.active},
        input=Path(run.video) if run.video else None,
        controls=_controls(home) if done else {},
        output=home / OUTPUT if done else None,
        note="" if done else state,
    )


def _controls(home: Path) -> dict[str, Path]:
    found = ((_CONTROL.fullmatch(path.name), path) for path in sorted(home.iterdir()))
    return {match[1]: path for match, path in found if match}
