"""`cosmos-batch cost`: the engine time that was used, by tenant, model or day."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import date

from rich.table import Table

from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.text import safe
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger.service.usage import UsageBy

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class CostRequest:
    """Arguments of `cosmos-batch cost`."""

    location: ServiceLocation
    by: UsageBy
    since: str  # first day, UTC; "": no bound
    until: str  # last day
    as_json: bool


def cost_command(request: CostRequest) -> int:
    """Print the engine time; returns the exit code. Raises InputError, StorageError and LedgerError."""
    given = (("--since", request.since), ("--until", request.until))
    if problems := [_bad_day(option, day) for option, day in given if day and not _is_day(day)]:
        raise InputError(problems)
    ledger = request.location.open_known()
    try:
        totals = ledger.usage.totals(request.by, request.since, request.until)
    finally:
        ledger.close()
    if request.as_json:
        print(json.dumps([asdict(total) for total in totals]))
        return 0
    whole = sum(total.seconds for total in totals)
    table = Table(box=None, pad_edge=False)
    for heading in (request.by.value, "runs", "engine seconds", "hours", "share"):
        table.add_column(heading, justify="left" if heading == request.by.value else "right")
    for total in totals:
        share = f"{total.seconds / whole:.1%}" if whole else ""
        hours = f"{total.seconds / 3600:.2f}"
        table.add_row(safe(total.name) or "(none)", str(total.runs), f"{total.seconds:.1f}", hours, share)
    runs = sum(total.runs for total in totals)
    table.add_row("total", str(runs), f"{whole:.1f}", f"{whole / 3600:.2f}", "", style="bold")
    console().print(table)
    return 0


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _bad_day(option: str, given: str) -> Problem:
    return Problem("", None, option, repr(given[:40]), "is no day", "give one such as 2026-11-30 (UTC)")
