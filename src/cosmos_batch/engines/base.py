"""The protocols of engines and sessions: how runs join, advance and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cosmos_batch.media.info import FileMark
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run

if TYPE_CHECKING:  # planning imports this module, and no numpy
    import numpy as np
    from numpy.typing import NDArray


class Outcome(StrEnum):
    """How an attempt at a run ended."""

    SUCCEEDED = "succeeded"
    BLOCKED = "blocked"  # the guardrail refused the prompt or the video
    FAILED = "failed"
    PREEMPTED = "preempted"  # taken out with its state saved, to be resumed later


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one run, as an engine gets it."""

    run: ResolvedRun
    folder: Path
    """Private to this attempt: the engine leaves output.mp4 and control_<name>.mp4 here; of a run of one frame,
    output.png or output.jpg, and its controls as pictures."""
    state: Path  # where the mid-denoise state is kept; a file that exists is resumed from


@dataclass(frozen=True, slots=True)
class Progress:
    """A run has done one more step."""

    run_id: str
    step: int  # denoising steps done, over all chunks
    steps: int  # all steps of the run


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run. If it succeeded, all its files are complete in the job's folder."""

    run_id: str
    outcome: Outcome
    cause: str = ""  # why it did not succeed
    retryable: bool = False  # whether trying again, unchanged, can help
    decoded: Mapping[str, FileMark] | None = None
    """Marks of the input files, unchanged while they were decoded; None: they may have been read until now."""
    guardrail: tuple[str, ...] = ()  # what the guardrail checked, and let pass


Event = Progress | Result


def model_key(run: Run, identity: Mapping[str, str]) -> tuple[str, ...]:
    """The parts of an engine's identity that determine a run's video.

    Versions are none of them: an update makes no video stale.
    """
    branches = (identity.get(f"weights_{name}", "") for name in run.signature)
    return (identity["engine"], identity["weights"], *branches, *approximations_of(identity))


def approximations_of(identity: Mapping[str, str]) -> tuple[str, ...]:
    """The approximations of an engine with that identity; none unless its user chose them."""
    return tuple(identity.get("approximations", "").split())


class Session(Protocol):
    """A launched engine. Errors that concern one run come as its `Result`, never as an exception."""

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""

    @property
    def finishing(self) -> tuple[str, ...]:
        """Ids of active runs that do not need the device any more: their files are being written.

        Their Result comes from a later `advance`; other runs may be denoised meanwhile.
        """

    def switch_launch(self, launch: Launch) -> None:
        """Switch to another launch, as if the session had been opened for it. No run may need the device.

        Runs that are being finished stay. Called for engines that work step by step only.
        """

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Name the runs that are expected to join next, in this order: their inputs may be read meanwhile.

        It is a hint: other runs may join, and expected ones may not. Where it is not `certain`, other workers may
        take them first, and no time of the device is to be spent on them.
        """

    def join(self, job: Job) -> Iterable[Event]:
        """Add a run, at its first or saved step. A run that cannot start ends at once."""

    def advance(self) -> Iterable[Event]:
        """Take every active run one step further. Raises OutOfMemoryError, with every run as before the step.

        Where all active runs are being finished, it waits for the first of them.
        """

    def save(self, run_id: str) -> None:
        """Write the run's state to its job's state file, atomically."""

    def leave(self, run_id: str) -> None:
        """Remove the run; nothing is written for it afterwards. Its state is the last one that was saved."""

    def close(self) -> None:
        """Free everything that the session holds."""


class Engine(Protocol):
    """A way of executing batches."""

    @property
    def traits(self) -> Traits:
        """The engine's traits: settings that must be equal per launch and per batch, and its abilities."""

    @property
    def identity(self) -> Mapping[str, str]:
        """The facts that determine a video, for its record: engine, model, digests of the weights, versions.

        "weights" counts for every run, "weights_<control>" for runs that use the control (see `model_key`).
        "approximations", where there are any, are words separated by spaces.
        """

    def open(self, launch: Launch) -> Session:
        """Open a session for a launch: load the model with the launch's control branches."""


class EngineSource(Protocol):
    """An engine that is loaded when the first run needs it."""

    @property
    def traits(self) -> Traits:
        """The engine's traits."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What of the engine's identity determines which videos answer a run; see `model_key`."""

    def load(self) -> Loaded:
        """Load the engine. Raises EngineError and PlanError."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that can run; its own source."""

    engine: Engine
    prior: CostModel  # its cost before anything is measured

    @property
    def traits(self) -> Traits:
        """The engine's traits."""
        return self.engine.traits

    @property
    def identity(self) -> Mapping[str, str]:
        """The engine's identity."""
        return self.engine.identity

    def load(self) -> Loaded:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True)
class Deferred:
    """An engine that is not loaded yet; see `EngineSource`."""

    traits: Traits
    identity: Mapping[str, str]
    loads: Callable[[], Loaded]

    def load(self) -> Loaded:
        """Load the engine. Raises EngineError and PlanError."""
        return self.loads()


@runtime_checkable
class Calibrated(Protocol):
    """An engine that measures its model on this machine."""

    def calibrated(
        self,
        prior: CostModel,
        *,
        seconds: float,
        write: Callable[[NDArray[np.uint8]], None],
        say: Callable[[str], None],
    ) -> CostModel:
        """Measure for about so many seconds; return a cost model of the measurements.

        `prior`: what is believed before; `write` writes frames [frames, height, width, 3] as a video, to be timed;
        `say` prints a line of progress.
        """
