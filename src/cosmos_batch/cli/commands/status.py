"""`cosmos-batch status`: what the ledger of an output folder says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.tables import print_standings
from cosmos_batch.cli.render.text import times
from cosmos_batch.dispatch.output.directory import HOME, LEDGER, in_use
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.models import HELD, WAITING


def open_ledger(folder: Path) -> Ledger:
    """The ledger of an output folder. Raises InputError where there is none, and LedgerError."""
    path = folder / HOME / LEDGER
    if not path.is_file():
        raise InputError([Problem("", None, "", str(folder), "nothing was run in it", "name another folder")])
    return Ledger(path)


def status_command(folder: Path, *, as_json: bool) -> int:
    """Print how every run stands; returns the exit code."""
    ledger = open_ledger(folder)
    try:
        standings = ledger.queries.statuses()
    finally:
        ledger.close()
    if as_json:
        print(json.dumps([asdict(standing) for standing in standings], ensure_ascii=False))
    else:
        print_standings(console(), standings)
        waiting = sum(standing.state in (*WAITING, *HELD) for standing in standings)
        if waiting and not in_use(folder):
            print(f"no command is at work here; {times(waiting, 'run')} will go on when it is given again")
    return 0
