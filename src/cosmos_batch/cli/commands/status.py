"""`cosmos-batch status DIR`: the states of an output folder's runs, from its ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.tables import print_statuses
from cosmos_batch.cli.render.text import plural
from cosmos_batch.dispatch.output.destination import local_folder
from cosmos_batch.dispatch.output.directory import in_use, ledgers_of
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.common import TAG_NAME
from cosmos_batch.ledger import Filter, Ledger, RunStatus, State
from cosmos_batch.ledger.models import HELD, WAITING


def ledgers_in(folder: Path) -> Iterator[Ledger]:
    """Open the ledgers of an output folder, one after the other: of whole commands, and of every shard.

    Raises InputError if no command was run in the folder, and LedgerError.
    """
    paths = ledgers_of(local_folder(folder))
    if not paths:
        raise InputError([Problem("", None, "", str(folder), "no command was run in it", "name another folder")])
    for path in paths:
        with closing(Ledger(path)) as ledger:
            yield ledger


def statuses_in(folder: Path, where: Filter) -> list[RunStatus]:
    """The states of the runs of an output folder; a run that two shards know has succeeded where one made it.

    Raises InputError if no command was run in the folder, and LedgerError.
    """
    found: dict[str, RunStatus] = {}
    for ledger in ledgers_in(folder):
        for status in ledger.queries.statuses(where):
            if status.id not in found or status.state is State.SUCCEEDED:
                found[status.id] = status
    return list(found.values())


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
    statuses = statuses_in(folder, where)
    if as_json:
        print(json.dumps([asdict(status) for status in statuses], ensure_ascii=False))
    else:
        print_statuses(console(), statuses, all_rows=all_rows)
        waiting = sum(status.state in (*WAITING, *HELD) for status in statuses)
        if waiting and not in_use(local_folder(folder)):
            print(f"no command runs here; the same command continues the {plural(waiting, 'remaining run')}")
    return 0
