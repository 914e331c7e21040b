"""What the ledger takes and hands out: frozen records; those from rows are made in one place each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from cosmos_batch.errors import LedgerError
from cosmos_batch.planning.traits import Shape, VideoInfo
from cosmos_batch.run import ResolvedRun

_RUN = TypeAdapter(ResolvedRun)


class State(StrEnum):
    """Where a run is on its way."""

    QUEUED = "queued"  # waits for its first attempt, or for another
    LEASED = "leased"  # a worker has it in a batch, and has not begun
    RUNNING = "running"  # joined: its denoising steps are being taken
    SUCCEEDED = "succeeded"  # its output was checked and published
    FAILED = "failed"
    BLOCKED = "blocked"  # the guardrail refused it
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"  # set aside with its state saved; waits to go on


CANCEL = "cancel"  # the one wish that a worker may find at a run that it has
WAITING = (State.QUEUED, State.PREEMPTED)
HELD = (State.LEASED, State.RUNNING)
ENDED = (State.SUCCEEDED, State.FAILED, State.BLOCKED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger knows it."""

    run: ResolvedRun
    fingerprint: str
    state: State
    cause: str  # why it is in this state; "" where that goes without saying
    failures: int  # attempts that the run itself made fail since it was last asked for
    predicted_seconds: float | None  # its share of the batch that it was last planned into
    created: float  # seconds since 1970
    updated: float
    owner: str  # the API key that asked for it, by name; "" without one
    batch_job_id: str  # id of the order that it belongs to; "" without one
    custom_id: str  # what its order's file calls it
    shape_label: str  # controls and size in words: "depth + edge, 1280x720, 121 frames"
    facts: Mapping[str, VideoInfo]  # of its videos, by path, where they were looked at when it was taken in
    cancel_requested: bool  # a worker has it, and will drop it at its next step
    not_before: float  # it waits at least until then; 0: no such time
    crashes: int  # workers that died with it aboard
    lone_crashes: int  # those that had it alone
    rating: int | None  # 1 to 5

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return self.run.priority

    @classmethod
    def from_row(cls, row: RowMapping) -> RunRecord:
        """A record out of a row of `runs`. Raises LedgerError where the row holds no valid run."""
        try:
            run = _RUN.validate_python(row["request"] | {"priority": row["priority"]})
            state = State(row["state"])
            facts = {path: VideoInfo(**known) for path, known in row["facts"].items()}
        except (ValidationError, ValueError, TypeError) as exc:
            raise LedgerError(f"the ledger's run {row['id']!r} cannot be read: {exc}") from exc
        return cls(
            run=run,
            fingerprint=row["fingerprint"],
            state=state,
            cause=row["cause"],
            failures=row["failures"],
            predicted_seconds=row["predicted_seconds"],
            created=row["created"],
            updated=row["updated"],
            owner=row["owner"],
            batch_job_id=row["batch_job_id"],
            custom_id=row["custom_id"],
            shape_label=row["shape_label"],
            facts=facts,
            cancel_requested=row["requested_action"] == CANCEL and state in HELD,
            not_before=row["not_before"],
            crashes=row["crashes"],
            lone_crashes=row["lone_crashes"],
            rating=row["rating"],
        )


class Request(NamedTuple):
    """What was asked for, and nothing of what became of it: cheap to read for very many runs at once."""

    id: str
    fingerprint: str
    run: ResolvedRun  # with the priority that it was asked for with
    facts: Mapping[str, VideoInfo]

    @classmethod
    def from_text(cls, run_id: str, fingerprint: str, request: str, facts: str) -> Request:
        """A request out of columns of `runs`, the last two as JSON. Raises LedgerError, like `RunRecord`."""
        try:
            known = {path: VideoInfo(**each) for path, each in json.loads(facts).items()} if facts != "{}" else {}
            return cls(run_id, fingerprint, _read_run(request), known)
        except (ValidationError, ValueError, TypeError) as exc:
            raise LedgerError(f"the ledger's run {run_id!r} cannot be read: {exc}") from exc


def _read_run(text: str) -> ResolvedRun:
    try:
        return _RUN.validate_json(text)
    except ValidationError:  # the fast parser takes no lone surrogates, which a path may hold
        return _RUN.validate_python(json.loads(text))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one run inside one batch."""

    id: int
    run: str
    batch: int
    worker: str  # who holds the lease
    lease_until: float  # seconds since 1970; after that anybody may take the run back
    started: float
    ended: float | None
    outcome: State | None  # the state in which it left the run; None while it lasts
    cause: str
    step: int  # denoising steps done
    steps: int  # in all; 0 before the first

    @classmethod
    def from_row(cls, row: RowMapping) -> Attempt:
        """A record out of a row of `attempts`."""
        fields = dict(row)
        fields["outcome"] = None if row["outcome"] is None else State(row["outcome"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One line of a run's history."""

    id: int  # grows with every change of any run
    run: str
    state: State
    reason: str
    at: float  # seconds since 1970

    @classmethod
    def from_row(cls, row: RowMapping) -> StateChange:
        """A record out of a row of `events`."""
        return cls(id=row["id"], run=row["run"], state=State(row["state"]), reason=row["reason"], at=row["at"])


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands, without its request: cheap to read for many runs at once."""

    id: str
    fingerprint: str
    state: State
    cause: str
    priority: int
    seconds: float | None  # wall time of the latest attempt; None: never attempted
    step: int  # of that attempt
    steps: int

    @classmethod
    def from_row(cls, row: RowMapping) -> RunStatus:
        """A record out of the ledger's standing query."""
        return cls(
            id=row["id"],
            fingerprint=row["fingerprint"],
            state=State(row["state"]),
            cause=row["cause"],
            priority=row["priority"],
            seconds=row["seconds"],
            step=row["step"] or 0,
            steps=row["steps"] or 0,
        )


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission came to, in runs."""

    new: int
    changed: int  # known by id, and asked for anew with other settings
    known: int  # known, and the same

    def __add__(self, other: Submitted) -> Submitted:
        return Submitted(self.new + other.new, self.changed + other.changed, self.known + other.known)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch about to be claimed."""

    engine: str
    shape: Shape
    predicted_seconds: float
    predicted_bytes: int
    alone_seconds: Mapping[str, float] = field(default_factory=dict)  # by run id: if launched by itself


@dataclass(frozen=True, slots=True)
class Claim:
    """Runs that a worker has got, and nobody else has."""

    batch: int
    attempts: Mapping[str, int]  # by run id; runs that somebody else took are not in it


class QueueEntry(NamedTuple):
    """A waiting run as the queue sees it: a named tuple, since there may be a million of them."""

    id: str
    fingerprint: str
    priority: int
    created: float  # seconds since 1970
    not_before: float
    failures: int
    crashes: int


class Mode(StrEnum):
    """What workers do with the queue."""

    RUNNING = "running"
    PAUSED = "paused"  # runs are set aside at their next step, and the device is freed
    DRAINING = "draining"  # what runs is finished, nothing new is begun, then the device is freed


@dataclass(frozen=True, slots=True)
class QueueChanges:
    """What has changed in the queue."""

    latest: int  # id of the latest change that this takes account of
    waiting: list[QueueEntry]  # runs that wait, of those that changed
    gone: list[str]  # ids of those that do not wait (any more)


@dataclass(frozen=True, slots=True)
class QueuePoll:
    """What a worker asks between two steps."""

    latest: int  # id of the latest change of any run
    mode: Mode
