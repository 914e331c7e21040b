"""The manifest: one line per run of the latest command."""

from __future__ import annotations

import json
from pathlib import Path

from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.manifest import write_manifest
from cosmos_batch.ledger import Ledger, RunStatus, State
from cosmos_batch.run import Control, Run


def test_waiting_run_has_no_output_and_a_fingerprint(tmp_path: Path) -> None:
    run = Run(id="a", prompt="a street", controls=(Control(name="edge", weight=1.0, video="/in.mp4"),))
    with OutputDirectory(tmp_path / "out") as folder:
        ledger = Ledger(folder.ledger)
        ledger.runs.submit([run])
        write_manifest(folder, ledger.queries.statuses())
        ledger.close()

    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert lines == [
        {
            "id": "a",
            "state": "queued",
            "output": None,
            "cause": "",
            "seconds": None,
            "fingerprint": run.fingerprint,
            "scores": {},
            "flags": [],
            "acceptance": None,
        }
    ]


def test_finished_run_has_scores_and_flags(tmp_path: Path) -> None:
    status = RunStatus("a", "f", State.SUCCEEDED, "", 0, 1.5, 4, 4, scores={"edge_f1": 0.25, "frozen": 0.75})
    with OutputDirectory(tmp_path / "out") as folder:
        write_manifest(folder, [status])

    line = json.loads((tmp_path / "out" / "manifest.jsonl").read_text())
    assert (line["scores"], line["flags"]) == ({"edge_f1": 0.25, "frozen": 0.75}, ["frozen"])
