"""What the ledger takes and hands out: frozen records; those from rows are made in one place each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from cosmos_batch.errors import LedgerError
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run

_RUN = TypeAdapter(Run)


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


WAITING = (State.QUEUED, State.PREEMPTED)
HELD = (State.LEASED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger knows it."""

    run: Run
    fingerprint: str
    state: State
    cause: str  # why it is in this state; "" where that goes without saying
    failures: int  # attempts that the run itself made fail since it was last asked for
    predicted_seconds: float | None  # its share of the batch that it was last planned into
    created: float  # seconds since 1970
    updated: float

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @classmethod
    def from_row(cls, row: RowMapping) -> RunRecord:
        """A record out of a row of `runs`. Raises LedgerError where the row holds no valid run."""
        try:
            run = _RUN.validate_python(row["request"])
            state = State(row["state"])
        except (ValidationError, ValueError) as exc:
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
        )


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

    run: str
    state: State
    reason: str
    at: float  # seconds since 1970

    @classmethod
    def from_row(cls, row: RowMapping) -> StateChange:
        """A record out of a row of `events`."""
        return cls(run=row["run"], state=State(row["state"]), reason=row["reason"], at=row["at"])


@dataclass(frozen=True, slots=True)
class Standing:
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
    def from_row(cls, row: RowMapping) -> Standing:
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


@dataclass(frozen=True, slots=True)
class Claim:
    """Runs that a worker has got, and nobody else has."""

    batch: int
    attempts: Mapping[str, int]  # by run id; runs that somebody else took are not in it
