"""The protocol of an engine: how runs are handed in, how they go forward, and what can come of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run


class Outcome(StrEnum):
    """How an attempt at a run ended."""

    SUCCEEDED = "succeeded"
    BLOCKED = "blocked"  # the guardrail refused the prompt or the video
    FAILED = "failed"
    PREEMPTED = "preempted"  # set aside with its state saved; it will go on


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one run, as an engine gets it."""

    run: ResolvedRun
    folder: Path  # private to this attempt: the engine leaves output.mp4 and control_<name>.mp4 here
    state: Path  # where the mid-denoise state is kept; a file that exists is resumed from


@dataclass(frozen=True, slots=True)
class Progress:
    """A run went one step further."""

    run_id: str
    step: int  # denoising steps done, over all chunks
    steps: int  # in all


@dataclass(frozen=True, slots=True)
class Result:
    """A run came to an end. If it succeeded, its files lie in the job's folder, whole."""

    run_id: str
    outcome: Outcome
    cause: str = ""  # why it did not succeed
    retryable: bool = False  # whether trying again, unchanged, can help


Event = Progress | Result


def model_key(run: Run, identity: Mapping[str, str]) -> tuple[str, ...]:
    """What of an engine's identity shapes a run's video. Versions do not: an update makes no video stale."""
    branches = (identity.get(f"weights_{name}", "") for name in run.signature)
    return (identity["engine"], identity["weights"], *branches, *approximations_of(identity))


def approximations_of(identity: Mapping[str, str]) -> tuple[str, ...]:
    """What an engine with that identity does not compute exactly; none unless its user asked for it."""
    return tuple(identity.get("approximations", "").split())


class Session(Protocol):
    """A launched engine. Errors that concern one run come as its `Result`, never as an exception."""

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""

    @property
    def finishing(self) -> tuple[str, ...]:
        """Those of them that need nothing of the device any more: their Result comes of a later `advance`,
        whatever else that does. Their files are being written meanwhile, and others may be denoised.
        """

    def switch_launch(self, launch: Launch) -> None:
        """Go on with another launch, as if opened for it, when nobody needs the device: those that are being
        finished stay. Only engines that work step by step are asked to.
        """

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """These runs are to join next, in this order, and no others: what they need may be read meanwhile.

        Nobody relies on it: others may join, and those that are expected may not. Where it is not `certain`, other
        workers may have them first, and the device's time is not to be spent on them.
        """

    def join(self, job: Job) -> Iterable[Event]:
        """Take a run in, at its own first (or saved) step. A run that cannot start ends at once."""

    def advance(self) -> Iterable[Event]:
        """Take every active run one step further. Raises OutOfMemoryError, with every run as before the step.

        Where there is nothing but runs to be finished, it waits for the first of them.
        """

    def save(self, run_id: str) -> None:
        """Write the run's state to its job's state file, atomically."""

    def leave(self, run_id: str) -> None:
        """Take the run out; nothing is written for it any more. Its state is what was last saved."""

    def close(self) -> None:
        """Free what the session holds."""


class Engine(Protocol):
    """A way of executing batches."""

    @property
    def traits(self) -> Traits:
        """What it needs equal and what it can do."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What makes the videos, for their records: engine, model, digests of the weights, versions.

        "weights" counts for every run, "weights_<control>" for those that use the control (see `maker_of`).
        "approximations", where there are any, are words with spaces between.
        """

    def open(self, launch: Launch) -> Session:
        """Start on a launch: load the model with the launch's control branches."""
