"""What clients of a service ask the ledger, and what they get: frozen records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from cosmos_batch.ledger.models import Attempt, RunRecord, State
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import ResolvedRun

_NO_FACTS: Mapping[str, VideoInfo] = {}


@dataclass(frozen=True, slots=True)
class Submission:
    """A run to be taken in, and on whose behalf."""

    run: ResolvedRun
    facts: Mapping[str, VideoInfo] = field(default_factory=lambda: _NO_FACTS)  # of its videos, by path
    owner: str = ""  # the API key, by name
    key: str = ""  # idempotency key, made unique to the owner by the caller; "": none
    digest: str = ""  # of the request as the client sent it, at most 64 characters; "": the run's fingerprint
    batch_job_id: str = ""  # id of the order that it belongs to
    custom_id: str = ""  # what the order's file calls it
    line: int = 0  # where the order's file names it


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """A submission that was taken in."""

    run: str  # its id; where the key was used before, the id of then
    new: bool  # False: the key was used before, for the same request
    at: float  # seconds since 1970; of one that is new, when it was created


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are wanted. Every condition must hold; one left at its default always does."""

    states: Collection[State] = ()
    text: str = ""  # part of the prompt, the id or the custom id, in capitals or not
    control: str = ""  # an active control
    shape_label: str = ""
    batch_job_id: str = ""
    owner: str = ""
    rating: int | None = None


@dataclass(frozen=True, slots=True)
class RunWithAttempt:
    """A run with its latest attempt, as a list of runs shows it."""

    record: RunRecord
    attempt: Attempt | None  # None: never attempted


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the runs that were asked for."""

    runs: tuple[RunWithAttempt, ...]
    more: bool  # there are others after the last of these


class WorkerState(StrEnum):
    """What a worker does."""

    STARTING = "starting"  # it loads its engine
    IDLE = "idle"
    WORKING = "working"
    TROUBLED = "troubled"  # something keeps it from working; it tries again
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as it last reported."""

    id: str
    engine: str
    device: str
    state: WorkerState
    trouble: str  # what keeps it from working, where it is troubled
    batch: int | None  # at work
    forecast: Mapping[str, Any]  # what it means to do next; see `dispatch.outlook`
    started: float  # seconds since 1970
    heartbeat: float
    ended: float | None

    @classmethod
    def from_row(cls, row: RowMapping) -> WorkerRecord:
        """A record out of a row of `workers`."""
        return cls(**dict(row) | {"state": WorkerState(row["state"])})


class BatchJobState(StrEnum):
    """Where an order is, in the words of the Batches API."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BatchJobRecord:
    """What the Batches API calls a batch: a file with a request in every line."""

    id: str
    input_file: str
    endpoint: str
    window: str  # as the client gave it
    state: BatchJobState
    details: Mapping[str, Any]  # the client's own metadata
    owner: str
    errors: Sequence[Mapping[str, Any]]  # of lines that became no run
    output_file: str  # "" until there is one
    error_file: str
    total: int  # lines of the input file
    created: float  # seconds since 1970
    started: float | None = None
    cancelling: float | None = None
    ended: float | None = None

    @classmethod
    def from_row(cls, row: RowMapping) -> BatchJobRecord:
        """A record out of a row of `orders`."""
        return cls(**dict(row) | {"state": BatchJobState(row["state"])})


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a client gave, or that was made for one."""

    id: str
    name: str  # as the client called it
    purpose: str
    path: str  # where it lies
    bytes: int
    sha256: str
    owner: str
    facts: VideoInfo | None  # None: not a video
    created: float  # seconds since 1970

    @classmethod
    def from_row(cls, row: RowMapping) -> FileRecord:
        """A record out of a row of `files`."""
        facts = VideoInfo(**row["facts"]) if row["facts"] else None
        return cls(**dict(row) | {"facts": facts})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key, which is itself kept nowhere."""

    name: str
    created: float  # seconds since 1970
    revoked: float | None


@dataclass(frozen=True, slots=True)
class ShapeCount:
    """Runs of one kind in one state."""

    shape_label: str
    signature: str  # "depth+edge"
    state: State
    runs: int
    oldest: float  # when the first of them was asked for, in seconds since 1970
    predicted_seconds: float  # of those that were ever planned


@dataclass(frozen=True, slots=True)
class Throughput:
    """What ended within a stretch of time."""

    start: float  # seconds since 1970
    ended: Mapping[State, int]
    engine_seconds: float  # that engines were at work
    alone_seconds: float  # predicted, had each of its succeeded runs been launched by itself


@dataclass(frozen=True, slots=True)
class Prediction:
    """A batch's predicted time, and what it took."""

    batch: int
    runs: int
    predicted: float  # seconds
    seconds: float
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class RunTimes:
    """How long a succeeded run waited and took, in seconds."""

    waited: float  # from submission to its first attempt
    took: float  # its last attempt
