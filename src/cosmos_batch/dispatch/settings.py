"""Settings of dispatching, and the protocols by which it is stopped and observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_batch.ledger.models import State
from cosmos_batch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Settings of dispatching that the user may choose."""

    save_every: float = 20.0  # seconds between checkpoints; 0 writes one after every step
    max_failures: int = 3  # failed attempts after which a run has failed, where trying again can help
    max_batch: int | None = None  # runs of a batch at most; None: as planned
    max_alike: int | None = None  # first runs of a command that fail for one cause until it stops; None: no limit
    lease: float = 120.0  # seconds after which the runs of a silent worker may be claimed by others
    retry_wait: float = 0.0  # seconds before a failed run is tried again; twice as long after every failure
    longest_wait: float = 900.0  # upper bound of that, seconds
    scorers: tuple[str, ...] = ()  # that score every video, beside the scores that all get
    guarded: bool = False  # a supervisor starts a fresh process for an engine that broke

    def wait_after(self, failures: int) -> float:
        """Return the seconds before a run with so many failures is tried again."""
        return min(self.longest_wait, self.retry_wait * 2.0 ** (failures - 1))


class EventSink(Protocol):
    """Receives events of dispatching as they happen. Nothing is read back from it."""

    def planned(self, plan: Plan) -> None:
        """A plan of all waiting runs is about to be executed."""

    def launched(self, reason: str, runs: int) -> None:
        """An engine starts on so many runs; `reason` says why they are together."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Runs joined a batch."""

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """A run has done `step` of its denoising steps."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """A run's attempt has ended, or its finished output was found."""

    def noted(self, message: str) -> None:
        """A message of one line for the user."""


class StopToken:
    """A request to stop at the next step. A signal handler may make it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._for_failures = False

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._reason is not None

    @property
    def reason(self) -> str:
        """Why; the default where no stop was requested."""
        return self._reason or "dispatching has ended"

    @property
    def for_failures(self) -> bool:
        """Whether the command stops itself, since its runs fail."""
        return self._for_failures

    def request(self, reason: str = "stopped by the user", *, for_failures: bool = False) -> None:
        """Request a stop."""
        self._reason = reason
        self._for_failures = for_failures


class Throttle:
    """Allows an action every so many seconds, and never for more than a share of the time."""

    def __init__(self, every: float, clock: Callable[[], float], share: float = 0.05) -> None:
        """Start counting now. `every`: seconds; `share`: of the time that the action may take at most."""
        self._clock = clock
        self._share = share
        self._pause = self._every = every
        self._last = clock()

    def due(self) -> bool:
        """Return whether the action may be done again."""
        return self._clock() - self._last >= self._pause

    def spent(self, seconds: float) -> None:
        """Note that the action was done just now and took so long."""
        self._last = self._clock()
        self._pause = max(self._every, seconds / self._share)
