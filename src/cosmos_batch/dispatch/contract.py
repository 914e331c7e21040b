"""The records that pass between scheduler, execution and recorder, and the protocols of the three.

    snapshot -> Scheduler.decide -> Decision -> Execution.apply -> Outcomes -> Recorder.record
                                                                             -> Scheduler.observe

Every record is a value. A scheduler is a function of snapshots, outcomes and what its read-only ports tell it;
it starts nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from cosmos_batch.engines.base import Job, Result
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.media.info import InputFile
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import ResolvedRun
from cosmos_batch.scoring.scores import VideoScores


class ExitCode(IntEnum):
    """Why dispatching ended; the exit code of a worker's process."""

    STOPPED = 0  # a stop was requested, or all runs of a command have ended
    AWAY = 10  # the queue is paused or drained; the device is free
    BROKEN = 11  # the engine broke; a fresh process is needed


# Slots


@dataclass(frozen=True, slots=True)
class Slot:
    """A run's place in a batch: one attempt at the run. Where it is now is known from who holds it."""

    job: Job
    attempt: int  # in the ledger
    batch: int  # its number in the ledger
    resumed: bool  # it goes on from a checkpoint
    started: float  # seconds since 1970
    inputs: tuple[InputFile, ...] = ()  # the files that the run reads, as they were then

    @property
    def run(self) -> ResolvedRun:
        """The run."""
        return self.job.run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.job.run.id


# Snapshot: what execution knows


class SlotView(NamedTuple):
    """A run's place in the running batch: a named tuple, since every step makes one of each slot."""

    run: ResolvedRun
    attempt: int
    step: int  # denoising steps done
    steps: int  # in all; 0 before the first
    lost: bool = False  # its lease expired; another worker may own the run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of execution between two decisions."""

    running: tuple[SlotView, ...] = ()  # slots that need the device
    finishing: tuple[str, ...] = ()  # ids of denoised runs whose outputs are being written or verified
    session_open: bool = False


# Decisions: what a scheduler asks for


@dataclass(frozen=True, slots=True)
class PredictedCost:
    """The predictions that a claim records: seconds and bytes of the batch, and each run's seconds alone."""

    seconds: float
    bytes: int
    alone_seconds: Mapping[str, float] = field(default_factory=dict)  # by run id
    load_seconds: float = 0.0  # of the model load before the batch; 0: nothing is loaded


class Start(NamedTuple):
    """Begin the first batch of a launch, in the open session or in a new one."""

    launch: Launch  # without its batches that have begun
    cost: PredictedCost  # of its first batch
    failures: Mapping[str, int]  # failed attempts so far, by run id
    reserve: tuple[tuple[Batch, PredictedCost], ...] = ()  # claimed at the same time, begun later by a Start each
    closed: bool = False  # a part of a batch that broke: it admits no run
    prefetch: tuple[ResolvedRun, ...] | None = ()  # runs that are likely to join next; None: leave it as it is
    certain: bool = True  # no other worker may take the prefetched runs first


@dataclass(frozen=True, slots=True)
class Switch:
    """Make the open session ready for another launch, once its first batch is claimed, which starts next."""

    launch: Launch
    failures: Mapping[str, int]  # failed attempts so far of its runs, by run id


@dataclass(frozen=True, slots=True)
class Admit:
    """Runs that join the running batch before its next step.

    They are claimed first, since another worker may be faster; only where that succeeds do others make way.
    """

    runs: tuple[ResolvedRun, ...]
    cost: PredictedCost
    failures: Mapping[str, int]
    preempt: tuple[str, ...] = ()  # ids of running runs that make way for the only run of this admission


@dataclass(frozen=True, slots=True)
class Step:
    """Cancel and admit runs, then take every running run one denoising step further.

    Each admission counts on those before it: where one of their runs cannot be claimed, the others are left out.
    """

    cancel: tuple[str, ...] = ()  # run ids
    admit: tuple[Admit, ...] = ()
    prefetch: tuple[ResolvedRun, ...] | None = None  # None: leave it as it is
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Displace:
    """Claim a batch of urgent runs, and where that succeeds preempt every running run. The batch starts next."""

    batch: Batch
    cost: PredictedCost
    failures: Mapping[str, int]  # failed attempts so far of its runs, by run id


@dataclass(frozen=True, slots=True)
class Suspend:
    """Preempt every running run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Wait for the next finishing run; close the session once there is none."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Fail runs that the engine cannot make."""

    reasons: Mapping[str, str]  # by run id


@dataclass(frozen=True, slots=True)
class Preload:
    """Load the model and the branches of a launch without runs, which are expected; then close the session."""

    launch: Launch


@dataclass(frozen=True, slots=True)
class Idle:
    """Do nothing for a time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """End dispatching."""

    exit_code: ExitCode


Action = Start | Switch | Step | Displace | Suspend | Close | Refuse | Preload | Idle
Decision = Action | Done


# Outcomes: what execution reports


@dataclass(frozen=True, slots=True)
class SessionReady:
    """A session was opened for a launch, or switched to it."""

    launch: Launch
    seconds: float


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """The engine could not start on a launch."""

    launch: Launch
    error: CosmosBatchError
    failures: int  # failed attempts so far of the run that has most of them


class Stepped(NamedTuple):
    """A run has gone one denoising step further: a named tuple, since every step makes one of each slot."""

    slot: Slot
    step: int  # steps done
    steps: int  # in all
    first: bool  # of the runs that the engine took further at once


@dataclass(frozen=True, slots=True)
class Ended:
    """The engine says how a run came out."""

    slot: Slot
    result: Result
    finishing: bool = False  # other runs may have used the device meanwhile
    inspection: Future[VideoScores] | None = None  # of the output, where it has begun; may raise OutputError
    since: float | None = None  # seconds since 1970 from when on dispatching waited for this; None: it did not


@dataclass(frozen=True, slots=True)
class Failed:
    """A run's attempt failed for a cause that the engine did not report as a result."""

    slot: Slot
    cause: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Requeued:
    """A run waits again, from its checkpoint where there is one; it is not the run's fault."""

    slot: Slot
    reason: str
    preempted: bool = False  # for a run that goes first


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A run was taken out on request, or because its lease was lost."""

    slot: Slot
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """An attempt is not ours any more: the same run was claimed again."""

    slot: Slot


class BatchEnd(Enum):
    """Why no run of a batch needs the device any more."""

    DENOISED = "denoised"  # all runs have ended or are finishing
    SUSPENDED = "suspended"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"  # the session broke and is closed


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """No run of a batch needs the device any more; outputs of some may still be written."""

    number: int
    batch: Batch
    end: BatchEnd
    cause: str = ""


@dataclass(frozen=True, slots=True)
class BatchBroke:
    """The parts of a broken batch that are to be made again. It follows the outcomes of the batch's runs."""

    batch: Batch
    end: BatchEnd
    cause: str
    running: Mapping[str, int]  # steps done by the runs that were in it, by run id
    foreign: bool  # an unforeseen error, which may have harmed the process
    parts: tuple[Batch, ...]
    reserve: bool  # claim all parts at once, and admit no run to them


@dataclass(frozen=True, slots=True)
class EngineBroke:
    """The session broke while outputs were being finished, and is closed."""

    cause: str
    foreign: bool


@dataclass(frozen=True, slots=True)
class Reserved:
    """A batch was claimed, and the device is free for it; it follows the outcomes of the runs that made way."""

    batch: Batch  # of the runs that could be claimed


@dataclass(frozen=True, slots=True)
class Refused:
    """A run failed before any attempt."""

    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something for the user to know."""

    message: str


Outcome = (
    SessionReady
    | LaunchFailed
    | Stepped
    | Ended
    | Failed
    | Requeued
    | Cancelled
    | LeaseLost
    | BatchEnded
    | BatchBroke
    | EngineBroke
    | Reserved
    | Refused
    | Noted
)


# The three parts of the loop


class Scheduler(Protocol):
    """Decides what is executed next."""

    def decide(self, snapshot: Snapshot) -> Decision:
        """Return the next decision. Raises LedgerError where the queue cannot be read."""

    def observe(self, outcome: Outcome) -> None:
        """Take account of an outcome of the last decision."""

    def reset(self) -> None:
        """Forget the launch at work: execution was abandoned."""


class Execution(Protocol):
    """Carries decisions out on an engine."""

    def snapshot(self) -> Snapshot:
        """Return what is running."""

    def apply(self, decision: Action) -> Iterator[Outcome]:
        """Carry a decision out, and yield each outcome when it happens.

        Raises StorageError, LedgerError and UnavailableError; every other error is an outcome.
        """

    def drain(self, reason: str) -> Iterator[Outcome]:
        """Preempt running runs, wait for finishing ones, close the session."""

    def abandon(self, reason: str) -> Iterator[Outcome]:
        """Close the session at once; runs wait again from their checkpoints."""


class Recorder(Protocol):
    """Writes outcomes to the ledger and the output folder."""

    def record(self, outcome: Outcome) -> None:
        """Record an outcome. Raises StorageError, LedgerError and UnavailableError."""

    def release(self, reason: str) -> None:
        """Requeue every attempt that is still open."""
