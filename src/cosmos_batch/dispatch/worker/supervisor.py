"""Supervisor: starts a service's workers, restarts those that exit, and attributes crashes to runs.

It runs beside the HTTP API, in one process; the workers are processes of their own. They communicate only through
the ledger and the service's folder, so that the end of any process loses no run.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Thread

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import (
    OutputDirectory,
    delete_checkpoints,
    discard,
    kept_attempts,
    kept_checkpoints,
)
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import ENGINE, STARTING, read_inflight
from cosmos_batch.dispatch.worker.launcher import WorkerExit, WorkerLauncher
from cosmos_batch.dispatch.worker.retry import retry_until_available
from cosmos_batch.errors import LedgerError, StorageError
from cosmos_batch.ledger import Mode
from cosmos_batch.ledger.ports import DispatchStore

PREDECESSOR_SECONDS = 15.0  # that the workers of a killed supervisor may take to exit
POLL_SECONDS = 0.05  # between two polls of the workers
SILENT_SECONDS = 600.0  # without a heartbeat, after which a worker of another service counts as ended
SWEEP_SECONDS = 60.0  # between two deletions of unneeded files
LONGEST_PAUSE = 30.0  # seconds before a worker that cannot start is started again


class OnStart(StrEnum):
    """The mode of the queue when a service starts."""

    RUN = "run"
    PAUSE = "pause"
    KEEP = "keep"  # as it was left


@dataclass(slots=True)
class _SupervisedWorker:
    """A worker of the service, across restarts."""

    number: int
    running: bool = False
    failed_starts: int = 0  # in a row
    not_before: float = 0.0  # monotonic seconds; the next start is not earlier
    exits: list[WorkerExit] = field(default_factory=list)  # exits that the ledger has not accepted yet

    def exited(self, end: WorkerExit) -> None:
        """Record an exit, and when the next start may be."""
        failed = end.inflight.phase == STARTING and not end.expected
        self.failed_starts = self.failed_starts + 1 if failed else 0
        pause = min(LONGEST_PAUSE, 0.5 * 2.0**self.failed_starts) if self.failed_starts else 0.0
        self.running, self.not_before = False, time.monotonic() + pause
        self.exits.append(end)


class Supervisor:
    """Keeps the workers of one service running. Use it as a context; it holds the lock of the service's folder.

    Its own thread alone touches the launcher and the workers; `running` may be read by any thread.
    """

    def __init__(
        self,
        home: ServiceHome,
        ledger: DispatchStore,
        launcher: WorkerLauncher,
        *,
        workers: int = 1,
        on_start: OnStart = OnStart.KEEP,
        log: EventLog | None = None,
    ) -> None:
        """`workers`: how many, numbered from 0."""
        self._home = home
        self._ledger = ledger
        self._launcher = launcher
        self._workers = [_SupervisedWorker(number) for number in range(workers)]
        self._on_start = on_start
        self._log = log or EventLog(sys.stderr, worker="supervisor")
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="supervisor")

    def __enter__(self) -> Supervisor:
        """Lock the folder, requeue the runs of its dead workers, start new workers.

        Raises StorageError, also where another process serves the folder, and LedgerError.
        """
        self._lock = self._home.lock()
        try:
            _clear_leftovers(self._home)
            retry_until_available(self._take_over, self._log)
        except BaseException:
            self._lock.release()
            raise
        self._thread.start()  # the thread that starts workers must live as long as they do
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the workers at their next step, and wait for them."""
        self._stopped.set()
        self._thread.join()
        self._lock.release()

    @property
    def running(self) -> list[int]:
        """The numbers of the workers that run."""
        return [worker.number for worker in self._workers if worker.running]

    def _take_over(self) -> None:
        """Requeue the runs of the folder's earlier workers, close their records, set the queue's mode.

        The in-flight markers name them. Other services may use the ledger, whose workers keep their runs; where a
        marker was lost, a run waits again when its lease expires. Their mode stays, too.
        """
        former = [name for path in self._home.markers() if (name := read_inflight(path).worker)]
        requeued: list[str] = []
        for worker in former:
            requeued += self._ledger.queue.reclaim("the service was started anew", worker=worker)
        self._ledger.workers.close(former)
        self._ledger.workers.close_silent(SILENT_SECONDS)
        if self._on_start is not OnStart.KEEP:
            self._ledger.settings.set_own_mode(Mode.RUNNING if self._on_start is OnStart.RUN else Mode.PAUSED)
        self._log("serving", home=str(self._home.root), returned=len(requeued), mode=self._ledger.settings.mode())

    def _run(self) -> None:
        swept = float("-inf")
        while not self._stopped.wait(POLL_SECONDS):
            for worker in self._workers:
                self._check(worker)
            if time.monotonic() - swept >= SWEEP_SECONDS:
                self._sweep()
                swept = time.monotonic()
        self._stop()
        self._sweep()

    def _check(self, worker: _SupervisedWorker) -> None:
        """Start a worker that is wanted, record one that has exited."""
        if worker.running and (end := self._launcher.poll(worker.number)) is not None:
            self._on_worker_exit(worker, end)
        if worker.exits:
            self._requeue_runs(worker)
        elif not worker.running and time.monotonic() >= worker.not_before and self._queue_runs():
            pid = self._launcher.start(worker.number)
            worker.running = True
            self._log("worker_started", number=worker.number, pid=pid)

    def _queue_runs(self) -> bool:
        """Whether the queue is running. While the ledger does not answer, workers are started and wait for it."""
        with suppress(LedgerError):
            return self._ledger.settings.mode() is Mode.RUNNING
        return True

    def _on_worker_exit(self, worker: _SupervisedWorker, end: WorkerExit) -> None:
        """Log and record the exit of a worker."""
        phase, runs = end.inflight.phase, dict(end.inflight.running)
        self._log("worker_ended", number=worker.number, how=end.how, phase=phase, running=runs)
        worker.exited(end)

    def _requeue_runs(self, worker: _SupervisedWorker) -> None:
        """Requeue the runs of exited workers. No worker is restarted before the ledger has accepted that."""
        while worker.exits:
            try:
                self._attribute(worker.exits[0])
            except LedgerError as exc:
                self._log("troubled", trouble=str(exc))
                return
            worker.exits.pop(0)

    def _attribute(self, end: WorkerExit) -> None:
        """Requeue the runs of an exited worker; attribute a crash to the runs that its engine was executing."""
        inflight = end.inflight
        if not inflight.worker:
            return
        for attempt in self._ledger.attempts.open_attempts(inflight.worker):
            discard(self._home.videos, attempt)
        if end.expected:
            self._ledger.queue.reclaim("its worker ended", worker=inflight.worker)
            self._ledger.workers.close([inflight.worker])
            return
        suspects = inflight.running if inflight.phase == ENGINE else {}
        poisoned = self._ledger.crashes.requeue_dead_worker(inflight.worker, end.how, suspects)
        self._ledger.workers.close([inflight.worker])
        self._ledger.measurements.add_counters({("deaths", ""): 1.0, ("poisoned", ""): float(len(poisoned))})
        for run_id, evidence in poisoned.items():
            self._log("poison", run=run_id, evidence=evidence)

    def _stop(self) -> None:
        """Stop every worker, and requeue what it had."""
        for number, end in self._launcher.stop().items():
            self._on_worker_exit(self._workers[number], end)
            self._requeue_runs(self._workers[number])

    def _sweep(self) -> None:
        """Delete unneeded files: checkpoints of runs that ended while they waited (cancelled, quarantined), and
        leftovers of attempts that ended while the folder did not answer.
        """
        videos = self._home.videos
        with suppress(LedgerError, StorageError):  # the workers report it, and the next sweep deletes them
            kept = kept_checkpoints(videos)
            delete_checkpoints(videos, kept - self._ledger.queries.unfinished(kept))
            begun = kept_attempts(videos)  # listed first: an attempt is in the ledger before it has a folder
            for attempt in begun - self._ledger.attempts.open_attempts():
                discard(videos, attempt)


def _clear_leftovers(home: ServiceHome) -> None:
    """Delete what dead workers left, once the last of them has exited. Raises StorageError."""
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            with OutputDirectory(home.videos):
                return
        except StorageError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
