"""What a command finds when it starts: which of its runs are finished, and which are to be made or made again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cosmos_batch.dispatch.execution.attempts import DispatchContext
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.provenance import check_published, request_key
from cosmos_batch.errors import InputError, OutputError, Problem
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.run import ResolvedRun, Run


def obstacles(runs: Iterable[Run], folder: OutputDirectory) -> list[Problem]:
    """The runs that cannot be published in the folder, because something else has their name."""
    found = [(run.id, folder.obstacle(run.id)) for run in runs]
    remedy = "give the run another id, or move what is there elsewhere"
    return [Problem("", None, "id", id_, obstacle, remedy) for id_, obstacle in found if obstacle]


def resume(runs: Sequence[ResolvedRun], tools: DispatchContext) -> None:
    """Submit settled runs, and settle by what lies in the folder, not by what the ledger remembers of it.

    A finished output that answers the request counts, though the ledger never heard of it. Without one, a run
    is made again, also where an earlier command failed at it; only what the guardrail blocked stays blocked,
    until its request changes. Raises InputError for runs that cannot be published here.
    """
    if problems := obstacles(runs, tools.folder):
        raise InputError(problems)
    if reclaimed := tools.ledger.queue.reclaim("the process that had it is gone", everyone=True):
        tools.events.noted(f"an earlier process ended before it was done: {len(reclaimed)} runs wait again")
    tools.ledger.runs.submit(runs)
    known = {standing.id: standing for standing in tools.ledger.queries.statuses()}
    verdicts = _Verdicts()
    for run in runs:
        verdicts.judge(known[run.id], _flaw(run, tools))
    verdicts.settle(tools)


def _flaw(run: ResolvedRun, tools: DispatchContext) -> str:
    """What is wrong with the run's output in the folder; "" where it is the one that is asked for."""
    published = tools.folder.published(run.id)
    if not published.exists():
        return f"{published} is missing"
    try:
        check_published(published, request_key(run, tools.identity, tools.digest))
    except OutputError as exc:
        return str(exc)
    except OSError as exc:
        return f"an input cannot be read: {exc}"
    return ""


@dataclass(slots=True)
class _Verdicts:
    done: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)  # those of them that the ledger did not know of
    again: dict[str, str] = field(default_factory=dict)  # why, by run id

    def judge(self, standing: RunStatus, flaw: str) -> None:
        if not flaw:
            self.done.add(standing.id)
        if not flaw and standing.state is not State.SUCCEEDED:
            self.found.append(standing.id)
        elif flaw and standing.state is State.SUCCEEDED:
            self.again[standing.id] = flaw
        elif flaw and standing.state in (State.FAILED, State.CANCELLED):
            self.again[standing.id] = "asked for again"

    def settle(self, tools: DispatchContext) -> None:
        tools.folder.delete_checkpoints(self.done)
        tools.ledger.runs.settle(self.found, State.SUCCEEDED, "its finished output was found")
        for reason in sorted(set(self.again.values())):
            ids = [id_ for id_, why in self.again.items() if why == reason]
            tools.ledger.runs.settle(ids, State.QUEUED, reason)
