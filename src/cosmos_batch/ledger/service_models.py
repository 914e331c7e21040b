"""Frozen records of a service: submissions, filters, pages, workers, batch jobs, files, keys, reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import RowMapping

from cosmos_batch.errors import Problem
from cosmos_batch.ledger.models import Attempt, RunRecord, State
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import ResolvedRun
from cosmos_batch.scoring.scores import ScoreCondition

_NO_FACTS: Mapping[str, VideoInfo] = {}


@dataclass(frozen=True, slots=True)
class Submission:
    """A run to submit, with its owner and its place in a batch job."""

    run: ResolvedRun
    facts: Mapping[str, VideoInfo] = field(default_factory=lambda: _NO_FACTS)  # of its videos, by path
    warnings: tuple[Problem, ...] = ()  # what is taken and probably not meant
    owner: str = ""  # name of the API key; "": none
    key: str = ""  # idempotency key, which the caller makes unique to the owner; "": none
    digest: str = ""  # of the request as sent, at most 64 characters; "": the fingerprint of the run
    batch_job_id: str = ""  # "": submitted alone
    custom_id: str = ""  # its name in the file of the batch job
    line: int = 0  # its line in that file


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """The result of a submission."""

    run: str  # its id; of a key that was used before, the id of the earlier run
    new: bool  # False: the key was used before for the same request
    at: float  # seconds since 1970; of a new run, the time of its creation


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on runs. All must hold; a condition at its default always holds."""

    states: Collection[State] = ()
    text: str = ""  # part of the prompt, the id or the custom id, in upper or lower case
    control: str = ""  # an active control
    shape_label: str = ""
    batch_job_id: str = ""
    owner: str = ""
    rating: int | None = None  # 0: not rated
    scores: Collection[ScoreCondition] = ()
    sweep: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)  # each with its value
    created_after: float | None = None  # submitted then or later, seconds since 1970
    created_before: float | None = None  # submitted earlier, seconds since 1970


@dataclass(frozen=True, slots=True)
class RunWithAttempt:
    """A run with its latest attempt."""

    record: RunRecord
    attempt: Attempt | None  # None: never attempted


@dataclass(frozen=True, slots=True)
class Page:
    """A page of runs."""

    runs: tuple[RunWithAttempt, ...]
    more: bool  # there are runs after the last of these


class OutlineRow(NamedTuple):
    """A run of an outline: what the order and the groups of a long list need, and no more."""

    id: str
    state: str
    rating: int | None
    score: float | None  # the one that was asked for; None: the run lacks it
    keys: tuple[str | None, ...]  # its value of each grouping; None: it has none


@dataclass(frozen=True, slots=True)
class RunLabels:
    """The sweeps and tags that runs have, with the number of runs of each."""

    sweeps: Mapping[str, int]
    tags: Mapping[str, Mapping[str, int]]  # by name, then by value


class WorkerState(StrEnum):
    """The state of a worker."""

    STARTING = "starting"  # loads its engine
    IDLE = "idle"
    WORKING = "working"
    TROUBLED = "troubled"  # cannot work; tries again
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker, as of its latest report."""

    id: str
    engine: str
    device: str
    state: WorkerState
    trouble: str  # why it cannot work; "": it can
    batch: int | None  # that it executes
    forecast: Mapping[str, Any]  # its planned launches; see `dispatch.scheduler.forecast`
    started: float  # seconds since 1970
    heartbeat: float
    ended: float | None

    @classmethod
    def from_row(cls, row: RowMapping) -> WorkerRecord:
        """Read a row of `workers`."""
        return cls(**dict(row) | {"state": WorkerState(row["state"])})


class BatchJobState(StrEnum):
    """The state of a batch job, in the words of the Batches API."""

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
    """A batch job (a batch of the Batches API): a file with a request in each line."""

    id: str
    input_file: str
    endpoint: str
    window: str  # as the client gave it: "24h"
    state: BatchJobState
    details: Mapping[str, Any]  # metadata of the client
    owner: str
    errors: Sequence[Mapping[str, Any]]  # of lines that gave no run
    output_file: str  # "": none yet
    error_file: str
    total: int  # lines of the input file
    created: float  # seconds since 1970
    service: str = ""  # id of the service that has its files; "": any
    started: float | None = None
    cancelling: float | None = None
    ended: float | None = None

    @classmethod
    def from_row(cls, row: RowMapping) -> BatchJobRecord:
        """Read a row of `batch_jobs`."""
        return cls(**dict(row) | {"state": BatchJobState(row["state"])})


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a client uploaded or that the service wrote for a client."""

    id: str
    name: str  # the client's name for it
    purpose: str
    path: str  # on this machine
    bytes: int
    sha256: str
    owner: str
    facts: VideoInfo | None  # None: not a video
    created: float  # seconds since 1970

    @classmethod
    def from_row(cls, row: RowMapping) -> FileRecord:
        """Read a row of `files`."""
        facts = VideoInfo(**row["facts"]) if row["facts"] else None
        return cls(**dict(row) | {"facts": facts})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key by name; the key itself is not stored."""

    name: str
    created: float  # seconds since 1970
    revoked: float | None
    tenant: str = ""  # who pays for its runs; "": not said


@dataclass(frozen=True, slots=True)
class Budget:
    """How much engine time a tenant may use in each period, and what it has used of the present one."""

    tenant: str
    seconds: float  # of engines
    period: str  # "day" or "month", UTC
    used: float  # seconds of ended batches
    until: str  # the first day of the next period, "2026-12-01"

    @property
    def spent(self) -> bool:
        """Whether nothing of it is left."""
        return self.used >= self.seconds


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Engine time of a tenant, a model or a day."""

    name: str  # of the tenant ("": runs without one), the model or the day
    seconds: float  # of engines
    runs: int  # that succeeded


@dataclass(frozen=True, slots=True)
class ShapeCount:
    """The number of runs with one shape label in one state."""

    shape_label: str
    signature: str  # "depth+edge"
    state: State
    runs: int
    oldest: float  # submission of the oldest, in seconds since 1970
    predicted_seconds: float  # of the runs that were planned


@dataclass(frozen=True, slots=True)
class Throughput:
    """The runs that ended in an interval of time."""

    start: float  # seconds since 1970
    ended: Mapping[State, int]
    engine_seconds: float  # of all engines
    alone_seconds: float  # predicted for a launch of each succeeded run alone


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted and the measured time of a batch."""

    batch: int
    runs: int
    predicted: float  # seconds
    seconds: float
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The waiting time and the duration of a succeeded run, in seconds."""

    waited: float  # from submission to its first attempt
    took: float  # its last attempt
