"""Resume: decides at the start of a command which of its runs are finished, and which are to be made (again)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cosmos_batch.dispatch.execution.context import DispatchContext, output_flaw
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.run import ResolvedRun, Run


def obstacles(runs: Iterable[Run], folder: OutputDirectory) -> list[Problem]:
    """Return the runs that cannot be published in the folder, because something else has their name."""
    found = [(run.id, folder.obstacle(run.id)) for run in runs]
    remedy = "give the run another id, or move what is there elsewhere"
    return [Problem("", None, "id", id_, obstacle, remedy) for id_, obstacle in found if obstacle]


def resume(runs: Sequence[ResolvedRun], context: DispatchContext) -> None:
    """Submit runs, and set their states by the outputs in the folder, not by what the ledger says of them.

    A finished output that answers the request counts, even where the ledger does not know it. Without one, a run
    is made again, also where an earlier command failed at it; only what the guardrail blocked stays blocked,
    until its request changes. Raises InputError for runs that cannot be published here.
    """
    if problems := obstacles(runs, context.folder):
        raise InputError(problems)
    if reclaimed := context.ledger.queue.reclaim("the process that had it is gone", every_worker=True):
        context.events.noted(f"an earlier process ended before it was done: {len(reclaimed)} runs wait again")
    context.ledger.runs.submit(runs)
    known = {status.id: status for status in context.ledger.queries.statuses()}
    findings = _Findings()
    for run in runs:
        findings.add(known[run.id], _flaw(run, context))
    findings.settle(context)


def _flaw(run: ResolvedRun, context: DispatchContext) -> str:
    """Return what is wrong with the run's output in the folder; "" where it is the one that is asked for."""
    try:
        return output_flaw(run, context)
    except OSError as exc:
        return f"an input cannot be read: {exc}"


@dataclass(slots=True)
class _Findings:
    done: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)  # those of them that the ledger did not know of
    again: dict[str, str] = field(default_factory=dict)  # why, by run id

    def add(self, status: RunStatus, flaw: str) -> None:
        if not flaw:
            self.done.add(status.id)
        if not flaw and status.state is not State.SUCCEEDED:
            self.found.append(status.id)
        elif flaw and status.state is State.SUCCEEDED:
            self.again[status.id] = flaw
        elif flaw and status.state in (State.FAILED, State.CANCELLED):
            self.again[status.id] = "asked for again"

    def settle(self, context: DispatchContext) -> None:
        context.folder.delete_checkpoints(self.done)
        context.ledger.runs.set_state(self.found, State.SUCCEEDED, "its finished output was found")
        for reason in sorted(set(self.again.values())):
            ids = [id_ for id_, why in self.again.items() if why == reason]
            context.ledger.runs.set_state(ids, State.QUEUED, reason)
