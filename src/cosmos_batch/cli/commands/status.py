"""`cosmos-batch status DIR`: the states of an output folder's runs, from its ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.tables import print_statuses
from cosmos_batch.cli.render.text import plural
from cosmos_batch.dispatch.output.directory import HOME, LEDGER, in_use
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.common import TAG_NAME
from cosmos_batch.ledger import Filter, Ledger
from cosmos_batch.ledger.models import HELD, WAITING


def open_ledger(folder: Path) -> Ledger:
    """Open the ledger of an output folder. Raises InputError if there is none, and LedgerError."""
    path = folder / HOME / LEDGER
    if not path.is_file():
        raise InputError([Problem("", None, "", str(folder), "no command was run in it", "name another folder")])
    return Ledger(path)


def status_filter(sweep: str, tags: Sequence[str]) -> Filter:
    """The filter of these options. Raises InputError for a tag that is not NAME:VALUE."""
    pairs = [text.partition(":") for text in tags]
    wrong = [
        text for text, (name, mark, _) in zip(tags, pairs, strict=True) if not (mark and TAG_NAME.fullmatch(name))
    ]
    if wrong:
        raise InputError([Problem("--tag", None, "", text, "is no tag", "write NAME:VALUE") for text in wrong])
    return Filter(sweep=sweep, tags={name: value for name, _, value in pairs})


def status_command(folder: Path, where: Filter, *, as_json: bool, all_rows: bool) -> int:
    """Print the states of the runs; returns the exit code."""
    ledger = open_ledger(folder)
    try:
        statuses = ledger.queries.statuses(where)
    finally:
        ledger.close()
    if as_json:
        print(json.dumps([asdict(status) for status in statuses], ensure_ascii=False))
    else:
        print_statuses(console(), statuses, all_rows=all_rows)
        waiting = sum(status.state in (*WAITING, *HELD) for status in statuses)
        if waiting and not in_use(folder):
            print(f"no command runs here; the same command continues the {plural(waiting, 'remaining run')}")
    return 0
