"""Resume: decides at the start of a command which of its runs are finished, and which are to be made (again)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cosmos_batch.dispatch.execution.context import output_flaw
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.inputs import InputDigests
from cosmos_batch.dispatch.output.kept_video import published_tries
from cosmos_batch.dispatch.output.provenance import Identity, published_scores, request_key
from cosmos_batch.dispatch.settings import EventSink
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger, RunStatus, State
from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.run import ResolvedRun, Run
from cosmos_batch.scoring.acceptance import Tries


def obstacles(runs: Iterable[Run], folder: OutputDirectory, ledger: DispatchStore) -> list[Problem]:
    """Return the runs that cannot be published in the folder, because something else has their name.

    Their folders would be one where the file system ignores case, so an id that differs from a known one by case
    alone is refused too.
    """
    ids = [run.id for run in runs]
    known = ledger.queries.ids_but_for_case(ids)
    problems = []
    for id_ in ids:
        if obstacle := folder.obstacle(id_):
            remedy = "give the run another id, or move what is there elsewhere"
            problems.append(Problem("", None, "id", id_, obstacle, remedy))
        if id_ in known:
            obstacle = f"differs by case alone from {known[id_]}, which is the id of a run of this folder already"
            problems.append(Problem("", None, "id", id_, obstacle, "choose another id"))
    return problems


def obstacles_in(folder: OutputDirectory, runs: Iterable[Run]) -> list[Problem]:
    """Return the runs that cannot be published in the folder, by its own ledger. Raises LedgerError."""
    ledger = Ledger(folder.ledger)
    try:
        return obstacles(runs, folder, ledger)
    finally:
        ledger.close()


@dataclass(frozen=True, slots=True)
class ResumeContext:
    """What resuming works with: the engine need not be loaded."""

    folder: OutputDirectory
    ledger: DispatchStore
    identity: Identity  # of the engine, as far as it determines which outputs answer a run
    events: EventSink
    digest: InputDigests = field(default_factory=InputDigests)


def resume(runs: Sequence[ResolvedRun], context: ResumeContext) -> bool:
    """Submit runs, and set their states by the outputs in the folder, not by what the ledger says of them.

    A finished output that answers the request counts, even where the ledger does not know it. Without one, a run
    is made again, also where an earlier command failed at it; only what the guardrail blocked stays blocked,
    until its request or the contents of its inputs change. Raises InputError for runs that cannot be published
    here.

    Returns whether runs wait to be made.
    """
    if problems := obstacles(runs, context.folder, context.ledger):
        raise InputError(problems)
    if reclaimed := context.ledger.queue.reclaim("the process that had it is gone", every_worker=True):
        context.events.noted(f"an earlier process ended before it was done: {len(reclaimed)} runs wait again")
    blocked = _still_blocked(runs, context)
    context.ledger.runs.submit([run for run in runs if run.id not in blocked])
    known = {status.id: status for status in context.ledger.queries.statuses()}
    findings = _Findings(blocked)
    for run in runs:
        flaw = _flaw(run, context)
        tries = None if flaw else published_tries(run, context.folder.published(run.id))
        findings.add(known[run.id], flaw, tries)
    findings.settle(context)
    return bool(context.ledger.queries.waiting({run.id for run in runs}))


def _still_blocked(runs: Sequence[ResolvedRun], context: ResumeContext) -> set[str]:
    """Return the runs that the guardrail blocked with the same contents, whatever the spelling of their paths."""
    statuses = context.ledger.queries.statuses()
    keys = {status.id: status.blocked_key for status in statuses if status.state is State.BLOCKED}
    return {run.id for run in runs if run.id in keys and keys[run.id] == _key(run, context)}


def _key(run: ResolvedRun, context: ResumeContext) -> str | None:
    """Return the key of a request; None where an input cannot be read."""
    try:
        return request_key(run, context.identity, context.digest)
    except OSError:
        return None


def _flaw(run: ResolvedRun, context: ResumeContext) -> str:
    """Return what is wrong with the run's output in the folder; "" where it is the one that is asked for."""
    try:
        return output_flaw(run, context)
    except OSError as exc:
        return f"an input cannot be read: {exc}"


@dataclass(slots=True)
class _Findings:
    blocked: set[str]  # with the same contents as now
    done: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)  # those of them that the ledger did not know of
    again: dict[str, str] = field(default_factory=dict)  # why, by run id
    judged: dict[str, Tries] = field(default_factory=dict)  # attempts of which the ledger knows another verdict

    def add(self, status: RunStatus, flaw: str, tries: Tries | None) -> None:
        if not flaw:
            self.done.add(status.id)
        if tries is not None and tries.record != status.acceptance:
            self.judged[status.id] = tries
        if not flaw and status.state is not State.SUCCEEDED:
            self.found.append(status.id)
        elif flaw and status.state is State.SUCCEEDED:
            self.again[status.id] = flaw
        elif flaw and status.state is State.BLOCKED and status.blocked_key and status.id not in self.blocked:
            self.again[status.id] = "its inputs or the model have changed since it was blocked"
        elif flaw and status.state in (State.FAILED, State.CANCELLED):
            self.again[status.id] = "asked for again"

    def settle(self, context: ResumeContext) -> None:
        context.folder.delete_checkpoints(self.done)
        for id_ in self.done:
            context.folder.place(id_)
        context.ledger.runs.set_state(self.found, State.SUCCEEDED, "its finished output was found")
        changed = dict.fromkeys([*self.found, *self.judged])
        published = {id_: published_scores(context.folder.published(id_)) for id_ in changed}
        context.ledger.runs.set_scores(published, self.judged)
        for reason in sorted(set(self.again.values())):
            ids = [id_ for id_, why in self.again.items() if why == reason]
            context.ledger.runs.set_state(ids, State.QUEUED, reason)
