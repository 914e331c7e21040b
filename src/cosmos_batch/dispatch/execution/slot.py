"""A run's place in a batch, and who records what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_batch.engines.base import Job, Result


@dataclass(slots=True)
class Slot:
    """A run's place in a flight."""

    job: Job
    attempt: int
    resumed: bool  # a saved state was there when it joined
    started: float  # seconds since 1970
    step: int = 0
    steps: int = 0
    boarded: int = 0  # steps that were done when it joined
    # It needs nothing of the device any more, so it is not aboard, and may not have landed
    finishing: bool = False
    landed: bool = False  # its attempt has ended
    landing_seconds: float = 0.0  # that its landing held others up, once it was not aboard any more

    @property
    def id(self) -> str:
        """The run's id."""
        return self.job.run.id

    @property
    def taken(self) -> int:
        """Denoising steps taken in this flight."""
        return self.step - self.boarded

    def went(self, step: int, steps: int) -> None:
        """It has done so many steps of all."""
        if self.resumed and not self.steps:
            self.boarded = step - 1  # where its saved state was
        self.step, self.steps = step, steps


class AttemptSink(Protocol):
    """Where a flight's events go."""

    def inspect(self, seat: Slot) -> None:
        """Open a run's output. Raises OutputError where it does not hold. Any thread may do so."""

    def ended(self, seat: Slot, result: Result, inspected: Callable[[], None] | None = None) -> None:
        """The engine says how the run came out. `inspected` gives what came of `inspect`; None: not done yet."""

    def stepped(self, seat: Slot, seats: Sequence[Slot]) -> None:
        """A run went a step further, beside the other seats that the engine has."""

    def failed(self, seat: Slot, cause: str, retryable: bool) -> bool:
        """A run's attempt has failed through its own fault; whether it is tried again."""

    def put_back(self, seat: Slot, reason: str) -> None:
        """A run is to wait again, and goes on from its saved state."""

    def dropped(self, seat: Slot, reason: str) -> None:
        """Nobody wants a run any more."""

    def lost(self, seat: Slot) -> None:
        """The run is somebody else's now."""

    def noted(self, message: str) -> None:
        """Something that a user wants to know."""
