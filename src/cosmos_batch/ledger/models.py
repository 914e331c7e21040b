"""Frozen records of runs, attempts and the queue, each with one function that reads it from a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from cosmos_batch.errors import LedgerError, Problem
from cosmos_batch.planning.traits import Shape, VideoInfo
from cosmos_batch.run import ResolvedRun, nth_try

_RUN = TypeAdapter(ResolvedRun)


class State(StrEnum):
    """The state of a run."""

    QUEUED = "queued"  # waits for an attempt
    LEASED = "leased"  # claimed by a worker, not begun
    RUNNING = "running"  # in a batch that is being denoised
    SUCCEEDED = "succeeded"  # its output is verified and published
    FAILED = "failed"
    BLOCKED = "blocked"  # refused by the guardrail
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"  # waits to continue from its checkpoint


class Publication(StrEnum):
    """The answer to a worker that is about to publish an output."""

    GRANTED = "granted"  # from now on the run is no longer cancelled
    CANCELLED = "cancelled"  # a cancel request came before
    LOST = "lost"  # the attempt has ended: its lease ran out


CANCEL = "cancel"  # the action that can be requested for a run that a worker holds
PUBLISH = "publish"  # in its place: the run's output is being published, and a cancel request comes too late
WAITING = (State.QUEUED, State.PREEMPTED)
HELD = (State.LEASED, State.RUNNING)
ENDED = (State.SUCCEEDED, State.FAILED, State.BLOCKED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with its state."""

    run: ResolvedRun
    fingerprint: str
    state: State
    cause: str  # the reason for the state; "": none needed
    failures: int  # failed attempts that count against the run since it was last queued
    predicted_seconds: float | None  # its share of its latest batch
    created: float  # seconds since 1970
    updated: float
    owner: str  # name of the API key that submitted it; "": none
    batch_job_id: str  # "": submitted alone
    custom_id: str  # its name in the file of the batch job
    shape_label: str  # controls and size in words: "depth + edge, 1280x720, 121 frames"
    facts: Mapping[str, VideoInfo]  # of its videos, by path, if they were probed at submission
    warnings: tuple[Problem, ...]  # found at submission: what is taken and probably not meant
    cancel_requested: bool  # its worker drops it at the next step
    not_before: float  # not claimed before this time; 0: no such time
    crashes: int  # workers that died while executing it
    lone_crashes: int  # of those, the ones that executed no other run
    rating: int | None  # 1 to 5
    scores: Mapping[str, float]  # of its published video, by name; empty: none
    tries: int  # attempts whose videos its rule has not accepted
    acceptance: Mapping[str, object]  # its attempts and the verdict, as `Tries.record` gives them; empty: no rule

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.run.id

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return self.run.priority

    @property
    def next_try(self) -> ResolvedRun:
        """The run as its next attempt makes it."""
        return nth_try(self.run, self.tries)

    @classmethod
    def from_row(cls, row: RowMapping) -> RunRecord:
        """Read a row of `runs`. Raises LedgerError if it holds no valid run."""
        try:
            run = _RUN.validate_python(row["request"] | {"priority": row["priority"]})
            state = State(row["state"])
            facts = {path: VideoInfo(**known) for path, known in row["facts"].items()}
            warnings = tuple(Problem(**warning) for warning in row["warnings"])
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
            warnings=warnings,
            cancel_requested=row["requested_action"] == CANCEL and state in HELD,
            not_before=row["not_before"],
            crashes=row["crashes"],
            lone_crashes=row["lone_crashes"],
            rating=row["rating"],
            scores=row["scores"],
            tries=row["tries"],
            acceptance=row["acceptance"],
        )


class Request(NamedTuple):
    """A run as it was submitted, without its state: cheap to read for many runs at once."""

    id: str
    fingerprint: str
    run: ResolvedRun  # with its priority at submission, as its next attempt makes it
    facts: Mapping[str, VideoInfo]

    @classmethod
    def from_text(cls, run_id: str, fingerprint: str, request: str, facts: str, tries: int = 0) -> Request:
        """Read columns of `runs`, two of them as JSON. Raises LedgerError if they hold no valid run."""
        try:
            known = {path: VideoInfo(**each) for path, each in json.loads(facts).items()} if facts != "{}" else {}
            return cls(run_id, fingerprint, nth_try(_read_run(request), tries), known)
        except (ValidationError, ValueError, TypeError) as exc:
            raise LedgerError(f"the ledger's run {run_id!r} cannot be read: {exc}") from exc


def _read_run(text: str) -> ResolvedRun:
    try:
        return _RUN.validate_json(text)
    except ValidationError:  # the fast parser refuses lone surrogates, which a path may hold
        return _RUN.validate_python(json.loads(text))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a run, in a batch."""

    id: int
    run: str
    batch: int
    worker: str  # holds the lease
    lease_until: float  # seconds since 1970; afterwards the run can be reclaimed
    started: float
    ended: float | None
    outcome: State | None  # state of the run after the attempt; None while it runs
    cause: str
    step: int  # denoising steps done
    steps: int  # in all; 0 before the first
    first_step: int | None  # the step that was recorded first; None before it
    first_step_at: float | None  # when that was
    step_at: float | None  # when the latest step was recorded
    batch_seconds: float  # predicted for all runs of its batch, which are made together
    load_seconds: float  # predicted for the model load before the batch; 0: none

    @classmethod
    def from_row(cls, row: RowMapping) -> Attempt:
        """Read a row of the query of `queries`."""
        fields = dict(row)
        fields["outcome"] = None if row["outcome"] is None else State(row["outcome"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One entry of a run's history."""

    id: int  # increases with every change of any run
    run: str
    state: State
    reason: str
    at: float  # seconds since 1970

    @classmethod
    def from_row(cls, row: RowMapping) -> StateChange:
        """Read a row of `events`."""
        return cls(id=row["id"], run=row["run"], state=State(row["state"]), reason=row["reason"], at=row["at"])


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of a run, without its request: cheap to read for many runs at once."""

    id: str
    fingerprint: str
    state: State
    cause: str
    priority: int
    seconds: float | None  # wall time of the latest attempt; None: never attempted
    step: int  # of that attempt
    steps: int
    blocked_key: str = ""  # of its request, where the guardrail blocked it; "": not blocked, or not known
    scores: Mapping[str, float] = field(default_factory=dict)  # of its published video, by name
    acceptance: Mapping[str, object] = field(default_factory=dict)  # its attempts and the verdict; empty: no rule

    @classmethod
    def from_row(cls, row: RowMapping) -> RunStatus:
        """Read a row of the query of `SqlQueries.statuses`."""
        return cls(
            id=row["id"],
            fingerprint=row["fingerprint"],
            state=State(row["state"]),
            cause=row["cause"],
            priority=row["priority"],
            seconds=row["seconds"],
            step=row["step"] or 0,
            steps=row["steps"] or 0,
            blocked_key=row["blocked_key"],
            scores=row["scores"],
            acceptance=row["acceptance"],
        )


@dataclass(frozen=True, slots=True)
class Submitted:
    """The result of a submission, as numbers of runs."""

    new: int
    changed: int  # known by id, queued again with other settings
    known: int  # known by id, with the same settings

    def __add__(self, other: Submitted) -> Submitted:
        return Submitted(self.new + other.new, self.changed + other.changed, self.known + other.known)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Facts of a batch that is to be claimed."""

    engine: str
    shape: Shape
    predicted_seconds: float
    predicted_bytes: int
    alone_seconds: Mapping[str, float] = field(
        default_factory=dict
    )  # by run id: predicted for a launch of the run alone
    load_seconds: float = 0.0  # predicted for the model load before the batch


@dataclass(frozen=True, slots=True)
class Claim:
    """Runs that a worker has claimed."""

    batch: int
    attempts: Mapping[str, int]  # by run id; without runs that another worker holds
    tries: Mapping[str, int] = field(default_factory=dict)  # earlier attempts that were not accepted, by run id


class QueueEntry(NamedTuple):
    """A waiting run in the queue: a named tuple, since there may be a million."""

    id: str
    fingerprint: str
    priority: int
    created: float  # seconds since 1970
    not_before: float
    failures: int
    crashes: int
    tries: int = 0  # attempts whose videos were not accepted: the next has another seed


class Mode(StrEnum):
    """The mode of the queue."""

    RUNNING = "running"
    PAUSED = "paused"  # runs are preempted at their next step, and the device is freed
    DRAINING = "draining"  # running batches are finished, none is begun, then the device is freed


@dataclass(frozen=True, slots=True)
class QueueChanges:
    """Changes of the queue."""

    latest: int  # id of the latest change that is included
    waiting: list[QueueEntry]  # changed runs that wait
    gone: list[str]  # ids of changed runs that do not wait


class QueuePoll(NamedTuple):
    """The answer to a worker's poll between two steps."""

    latest: int  # id of the latest change of any run
    mode: Mode
