"""The contact sheet of a command shows what was made."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from cosmos_batch.cli.render import contact_sheet
from cosmos_batch.cli.render.contact_sheet import write_contact_sheets
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.contact_sheet import SheetRow, write_sheets
from tests.support.clips import clip
from tests.support.dispatch_world import make_input, make_run


def status(run_id: str, state: State) -> RunStatus:
    return RunStatus(run_id, "", state, "", priority=0, seconds=None, step=0, steps=0)


def test_rows_are_the_runs_that_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_run(run_id, make_input(tmp_path / "in.mp4")) for run_id in ("made", "failed", "waits")]
    (tmp_path / "made").mkdir()
    for name in ("output", "control_edge"):
        clip(tmp_path / "made" / f"{name}.mp4")
    drawn: list[SheetRow] = []

    def keep(folder: Path, rows: list[SheetRow]) -> list[Path]:
        drawn.extend(rows)
        return write_sheets(folder, rows)

    monkeypatch.setattr(contact_sheet, "write_sheets", keep)
    states = [State.SUCCEEDED, State.FAILED, State.QUEUED]

    (path,) = write_contact_sheets(tmp_path, runs, [status(r.id, s) for r, s in zip(runs, states, strict=True)])

    (row,) = drawn
    assert (row.id, row.seed, set(row.controls)) == ("made", runs[0].sampling.seed, {"edge"})
    assert row.seed is not None
    assert cv2.imread(str(path)) is not None


def test_sheets_of_earlier_commands_are_deleted(tmp_path: Path) -> None:
    for name in ("contact_sheet.png", "contact_sheet_2.png", "contact_sheet_mine.png"):
        (tmp_path / name).write_bytes(b"old")

    assert write_contact_sheets(tmp_path, [], []) == []

    assert [path.name for path in tmp_path.iterdir()] == ["contact_sheet_mine.png"]
