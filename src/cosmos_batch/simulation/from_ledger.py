"""The history of a service as a trace."""

from __future__ import annotations

from typing import NamedTuple

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.models import RunRecord
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.simulation.trace import Arrival, Trace, trace_of

_PAGE = 1000  # runs that are read at once


class LedgerTrace(NamedTuple):
    """A trace of a service's runs."""

    trace: Trace
    left_out: int  # runs that the engine cannot make


def read_ledger(ledger: Ledger, traits: Traits, source: str) -> LedgerTrace:
    """Read all runs of a ledger, from the submission of the first. Raises InputError where there is none."""
    records: list[RunRecord] = []
    after, more = "", True
    while more:
        page = ledger.queries.page(after=after, limit=_PAGE, newest_first=False)
        records += [each.record for each in page.runs]
        after, more = records[-1].id if records else "", page.more
    facts: dict[str, VideoInfo] = {}
    for record in records:
        facts.update(record.facts)
    refused = refusals_by_run([record.run for record in records], traits, facts)
    kept = [record for record in records if record.id not in refused]
    if not kept:
        why = "holds no run that the engine can make" if records else "holds no run"
        raise InputError([Problem(source, None, "", "", why, "name the folder of another service")])
    first = kept[0].created
    arrivals = [Arrival(max(0.0, each.created - first), each.run, each.owner) for each in kept]
    return LedgerTrace(trace_of(arrivals, facts), len(refused))
