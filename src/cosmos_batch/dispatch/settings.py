"""How the dispatcher is set, told to stop, and watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_batch.ledger.models import State
from cosmos_batch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """What the user may choose about dispatching."""

    save_every: float = 20.0  # seconds between saves of mid-denoise states; 0 saves after every step
    max_failures: int = 3  # attempts that a run may make fail before it is failed, where trying again can help
    max_batch: int | None = None  # runs of a batch at most; None: as planned
    lease: float = 120.0  # seconds after which a silent worker's runs may be taken from it
    retry_wait: float = 0.0  # seconds before a failed run is tried again; twice as long after every failure
    longest_wait: float = 900.0  # seconds that this comes to at most
    guarded: bool = False  # a supervisor starts a fresh process for an engine that broke

    def wait_after(self, failures: int) -> float:
        """Seconds before a run is tried again that has failed so often."""
        return min(self.longest_wait, self.retry_wait * 2.0 ** (failures - 1))


class EventSink(Protocol):
    """Hears what happens, as it happens. The dispatcher never reads anything back from it."""

    def planned(self, plan: Plan) -> None:
        """A plan for everything that waits is about to be executed."""

    def launched(self, reason: str, runs: int) -> None:
        """An engine starts on so many runs; `reason` says why they are together."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """A batch joins."""

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """A run has done so many denoising steps of all."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """A run's attempt has ended, or its output was found finished already."""

    def noted(self, message: str) -> None:
        """Something that a user wants to know, in a line."""


class StopToken:
    """A wish to stop at the next step, that a signal handler may set."""

    def __init__(self) -> None:
        self.requested = False
        self.reason = "stopped by the user"


class Throttle:
    """When to save: every so many seconds, and never for more than a twentieth of the time."""

    SHARE = 0.05

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        """Start counting now, on a clock in seconds."""
        self._clock = clock
        self._pause = self._every = every
        self._last = clock()

    def due(self) -> bool:
        """Whether it is time."""
        return self._clock() - self._last >= self._pause

    def spent(self, seconds: float) -> None:
        """Something was saved just now, and took so long."""
        self._last = self._clock()
        self._pause = max(self._every, seconds / self.SHARE)
