"""The contact sheet of a command: input, controls and output of its runs, side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.dispatch.output.directory import RESERVED, output_of
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.contact_sheet import SheetRow, write_sheets
from cosmos_batch.run import Run

SHEET_RUNS = 96  # drawing more takes minutes

_CONTROL = re.compile(r"control_([a-z]+)\.(mp4|png|jpg)")


def write_contact_sheets(folder: Path, runs: Sequence[Run], statuses: Sequence[RunStatus]) -> list[Path]:
    """Draw the first runs of the command that were made; return the sheets, and delete those of earlier commands.

    Raises MediaError and StorageError.
    """
    made = {status.id for status in statuses if status.state is State.SUCCEEDED}
    shown = [run for run in runs if run.id in made][:SHEET_RUNS]
    written = write_sheets(folder, [_row(folder, run) for run in shown])
    for path in folder.glob("contact_sheet*.png"):
        if RESERVED.fullmatch(path.name) and path not in written:
            path.unlink(missing_ok=True)
    return written


def _row(folder: Path, run: Run) -> SheetRow:
    home = folder / run.id
    return SheetRow(
        id=run.id,
        prompt=run.prompt,
        weights={control.name: control.weight for control in run.active},
        input=Path(run.video) if run.video else None,
        controls=_controls(home),
        output=output_of(home),
        seed=run.sampling.seed,
        frames=run.sampling.num_frames,
    )


def _controls(home: Path) -> dict[str, Path]:
    found = ((_CONTROL.fullmatch(path.name), path) for path in sorted(home.iterdir()))
    return {match[1]: path for match, path in found if match}
