"""Protocols of the stores that dispatch reads and writes. The ledger's SQL components implement them.

Every method is one transaction and raises LedgerError where the store cannot be read or written. Times are seconds
since 1970, durations seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from cosmos_batch.ledger.models import (
    BatchFacts,
    Claim,
    Mode,
    Publication,
    QueueChanges,
    QueuePoll,
    Request,
    RunRecord,
    RunStatus,
    State,
    Submitted,
)
from cosmos_batch.ledger.service_models import WorkerRecord, WorkerState
from cosmos_batch.planning.cost.model import Measurement
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun
from cosmos_batch.scoring.acceptance import Tries


class RunStore(Protocol):
    """Submits runs and sets the state of runs that no worker holds."""

    def submit(self, requests: Iterable[ResolvedRun], reason: str = "submitted") -> Submitted:
        """Add runs. A known id with other settings is queued again, unless a worker holds that run."""
        ...

    def set_state(self, ids: Sequence[str], state: State, reason: str) -> None:
        """Set the state of runs that no worker holds; QUEUED clears their failures and scores."""
        ...

    def set_scores(
        self, scores: Mapping[str, Mapping[str, float]], tries: Mapping[str, Tries] | None = None
    ) -> None:
        """Store the scores of published videos, by run id, and the attempts of those that have to reach scores."""
        ...


class RunReader(Protocol):
    """Reads runs."""

    def waiting(self, among: Collection[str] | None = None) -> list[RunRecord]:
        """Return the waiting runs, most urgent first, then oldest first; only the ids in `among`, if given."""
        ...

    def statuses(self) -> list[RunStatus]:
        """Return the status of every run, oldest first."""
        ...

    def ids_but_for_case(self, ids: Iterable[str]) -> dict[str, str]:
        """Return, by each id that differs from a known one by case alone, the known id."""
        ...

    def requests(self, ids: Iterable[str]) -> list[Request]:
        """Return the requests of the known runs among the ids."""
        ...

    def unfinished(self, ids: Iterable[str]) -> set[str]:
        """Return the ids of runs that wait or that a worker holds."""
        ...


class RunQueue(Protocol):
    """The queue of waiting runs: what changed in it, and the claims of workers."""

    def poll(self) -> QueuePoll:
        """Return the id of the latest change and the queue's mode, in one query."""
        ...

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes of the queue after the change with that id; for None, all waiting runs."""
        ...

    def claim(
        self, ids: Sequence[str], facts: BatchFacts, worker: str, lease: float, into: int | None = None
    ) -> Claim | None:
        """Claim the waiting runs among the ids for `lease` seconds; None if none waits.

        The claimed runs become a batch, or join the batch `into`.
        """
        ...

    def cancel_requests(self) -> list[str]:
        """Return the ids of runs that a worker holds and that are to be cancelled."""
        ...

    def defer(self, ids: Sequence[str], reason: str, wait: float, max_failures: int) -> list[str]:
        """Count a failure of waiting runs and keep them waiting for `wait` seconds.

        Returns the ids of runs that had their `max_failures`-th failure: they are FAILED.
        """
        ...

    def reclaim(self, reason: str, *, every_worker: bool = False, worker: str = "") -> list[str]:
        """Requeue the runs whose lease has run out. Returns their ids.

        With `worker`, all runs that this worker holds; with `every_worker`, all held runs.
        """
        ...

    def remaining_seconds(self) -> dict[str, float]:
        """Return the predicted seconds that are left of each worker's batch, by worker."""
        ...


class AttemptStore(Protocol):
    """Records the attempts of claimed runs and the batches that they belong to."""

    def begin(self, ids: Sequence[str]) -> None:
        """Set claimed runs to RUNNING."""
        ...

    def progress(self, steps: Mapping[int, tuple[int, int]], lease: float) -> None:
        """Record the steps done and in all, by attempt, and renew the leases for `lease` seconds."""
        ...

    def renew(self, held: Iterable[int], lease: float) -> set[int]:
        """Renew the leases of attempts for `lease` seconds. Returns the attempts that are still open."""
        ...

    def start_publication(self, attempt: int, lease: float) -> Publication:
        """Settle whether an attempt's output is published or its run cancelled; renew the lease if published."""
        ...

    def finish(
        self,
        attempt: int,
        state: State,
        cause: str = "",
        *,
        failure: bool = False,
        wait: float = 0.0,
        steps: tuple[int, int] | None = None,
        blocked_key: str = "",
        scores: Mapping[str, float] | None = None,
        tries: Tries | None = None,
    ) -> bool:
        """End an attempt and set the state of its run; a `failure` is counted, and a requeued run waits for `wait`
        seconds at least. `steps`: done and in all. `blocked_key`: key of a request that was blocked.
        `scores`: of the published video. `tries`: the attempts at a run that has to reach scores. Returns False,
        with no change, if the attempt had ended.
        """
        ...

    def end_batch(self, batch: int, cause: str = "", seconds: float | None = None) -> None:
        """Record the end of a batch, the cause if it ended early, and its seconds of engine time."""
        ...

    def open_attempts(self, worker: str = "") -> set[int]:
        """Return the attempts that have not ended; only those of `worker`, if given."""
        ...


class CrashStore(Protocol):
    """Records crashes of workers and quarantines the runs that cause them."""

    def requeue_dead_worker(self, worker: str, cause: str, running: Mapping[str, int]) -> dict[str, str]:
        """Requeue the runs of a dead worker and count the crash for the `running` ones (id -> steps done).

        Returns the quarantined runs with the reason.
        """
        ...

    def requeue_silent(self) -> tuple[list[str], dict[str, str]]:
        """Requeue the runs whose leases have expired, and count the silence of their workers, half a crash each.

        Returns the ids of the requeued runs, and the quarantined ones among them with the reason.
        """
        ...

    def record_crash(self, running: Mapping[str, int], cause: str) -> dict[str, str]:
        """Count a crash for waiting runs (id -> steps done). Returns the quarantined runs with the reason."""
        ...


class MeasurementStore(Protocol):
    """Stores measured times, memory limits and counters."""

    def add(self, measured: Measurement, batch: int | None = None) -> None:
        """Store the measurement of a model load or a batch."""
        ...

    def latest(self, engine: str, device: str, limit: int | None = None) -> list[Measurement]:
        """Return the latest measurements of an engine on a device, at most `limit`, oldest first."""
        ...

    def add_limit(self, engine: str, device: str, shape: Shape, max_runs: int) -> None:
        """Store that at most `max_runs` runs of a shape fit in the memory of a device."""
        ...

    def limits(self, engine: str, device: str) -> dict[Shape, int]:
        """Return the largest batch that fits, for each shape that ran out of memory on a device."""
        ...

    def add_counters(self, more: Mapping[tuple[str, str], float]) -> None:
        """Add to counters, by name and label; a new counter starts at zero."""
        ...


class WorkerStore(Protocol):
    """Stores what workers report of themselves."""

    def report(
        self,
        worker: str,
        state: WorkerState,
        *,
        trouble: str = "",
        batch: int | None = None,
        forecast: Mapping[str, object] | None = None,
    ) -> None:
        """Store a worker's state; a `forecast` of None keeps the stored one."""
        ...

    def register(self, worker: str, engine: str, device: str) -> None:
        """Store the engine and the device of a worker."""
        ...

    def heartbeat(self, worker: str) -> None:
        """Store that a worker is alive."""
        ...

    def all(self, *, ended: bool = False) -> list[WorkerRecord]:
        """Return the workers, oldest first; with `ended`, ended workers too."""
        ...

    def close(self, ids: Sequence[str]) -> None:
        """Store that workers have ended."""
        ...

    def close_silent(self, seconds: float) -> None:
        """Store that workers without a heartbeat for so long have ended; one that reports again has not."""
        ...


class SettingStore(Protocol):
    """Stores the mode of the queue, and other settings by name."""

    def get(self, name: str, default: str = "") -> str:
        """Return the value of a setting."""
        ...

    def mode(self) -> Mode:
        """Return the mode of the queue."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of the queue for all services."""
        ...

    def set_own_mode(self, mode: Mode) -> None:
        """Set the mode of the queue for the service of this process, until a mode is set for all."""
        ...


class DispatchStore(Protocol):
    """The stores that dispatch needs, as one object. `Ledger` is one."""

    @property
    def runs(self) -> RunStore:
        """Runs by request."""
        ...

    @property
    def queries(self) -> RunReader:
        """Runs by state."""
        ...

    @property
    def queue(self) -> RunQueue:
        """Waiting runs."""
        ...

    @property
    def attempts(self) -> AttemptStore:
        """Attempts and batches."""
        ...

    @property
    def crashes(self) -> CrashStore:
        """Crashes of workers."""
        ...

    @property
    def measurements(self) -> MeasurementStore:
        """Measurements."""
        ...

    @property
    def workers(self) -> WorkerStore:
        """Workers."""
        ...

    @property
    def settings(self) -> SettingStore:
        """Settings."""
        ...
