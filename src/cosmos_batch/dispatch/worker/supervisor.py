"""The supervisor: starts a service's workers, starts them again when they die, and finds out what killed them.

It runs beside the HTTP API, in one process; the workers are processes of their own. All that they say to each
other goes through the ledger and the service's folder, so that the end of any of them loses nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Thread

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import (
    OutputDirectory,
    discard,
    forget_states,
    kept_attempts,
    kept_states,
)
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import ENGINE, STARTING, Inflight, read_box
from cosmos_batch.dispatch.worker.process import PARENT
from cosmos_batch.dispatch.worker.retry import retry_until_available
from cosmos_batch.dispatch.worker.worker import ExitCode
from cosmos_batch.errors import LedgerError, StorageError
from cosmos_batch.ledger import Ledger, Mode

PREDECESSOR_SECONDS = 15.0  # that the workers of a killed supervisor may take to be gone
LOOK_SECONDS = 0.05  # between two looks at the workers
SWEEP_SECONDS = 60.0  # between two looks for what nobody needs
LONGEST_PAUSE = 30.0  # seconds before a worker that cannot start is started again


class OnStart(StrEnum):
    """What a service does with its queue when it starts."""

    RUN = "run"
    PAUSE = "pause"
    KEEP = "keep"  # as it was left


@dataclass(slots=True)
class _Post:
    """A worker's place: the process that is at it, if any."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    unlucky: int = 0  # processes in a row that died while they started
    not_before: float = 0.0
    mourned: list[tuple[Inflight, str]] = field(default_factory=list)  # deaths that the ledger could not take yet


class Supervisor:
    """Keeps the workers of one service going. Use it as a context; the lock on the folder is its own."""

    def __init__(
        self,
        home: ServiceHome,
        ledger: Ledger,
        command: Callable[[int], Sequence[str]],
        *,
        workers: int = 1,
        on_start: OnStart = OnStart.KEEP,
        grace: float = 60.0,
        journal: EventLog | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`command`: how worker n is started; `grace`: seconds that it gets to save its runs when told to stop."""
        self._home = home
        self._ledger = ledger
        self._command = command
        self._posts = [_Post(number) for number in range(workers)]
        self._on_start = on_start
        self._grace = grace
        self._journal = journal or EventLog(sys.stderr, worker="supervisor")
        self._environment = dict(os.environ if environment is None else environment)
        self._over = Event()
        self._thread = Thread(target=self._run, name="supervisor")

    def __enter__(self) -> Supervisor:
        """Take the folder, set right what dead predecessors left, start the workers.

        Raises StorageError, also where the folder is served by another process, and LedgerError.
        """
        self._lock = self._home.lock()
        try:
            self._take_over()
        except BaseException:
            os.close(self._lock)
            raise
        self._thread.start()  # the thread that starts workers must live as long as they do
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the workers at their next step, and wait for them."""
        self._over.set()
        self._thread.join()
        os.close(self._lock)

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that live."""
        return [post.process.pid for post in self._posts if post.process is not None]

    def _take_over(self) -> None:
        _clear(self._home)
        retry_until_available(self._set_right, self._journal)

    def _set_right(self) -> None:
        back = self._ledger.queue.reclaim("the service was started anew", everyone=True)
        self._ledger.workers.close()
        if self._on_start is not OnStart.KEEP:
            self._ledger.settings.set_mode(Mode.RUNNING if self._on_start is OnStart.RUN else Mode.PAUSED)
        self._journal("serving", home=str(self._home.root), returned=len(back), mode=self._ledger.settings.mode())

    def _run(self) -> None:
        swept = float("-inf")
        while not self._over.wait(LOOK_SECONDS):
            for post in self._posts:
                self._look_after(post)
            if time.monotonic() - swept >= SWEEP_SECONDS:
                self._sweep()
                swept = time.monotonic()
        self._dismiss()
        self._sweep()

    def _sweep(self) -> None:
        """Delete what nobody needs any more: saved states of runs that ended while they waited, cancelled or set
        aside as poison, and what attempts left that ended while the folder did not answer.
        """
        videos = self._home.videos
        with suppress(LedgerError, StorageError):  # the workers say so, and the next sweep does it
            kept = kept_states(videos)
            forget_states(videos, kept - self._ledger.queries.unfinished(kept))
            begun = kept_attempts(
                videos
            )  # looked for first: an attempt is in the ledger before it is in the folder
            for attempt in begun - self._ledger.queue.open_attempts():
                discard(videos, attempt)

    def _look_after(self, post: _Post) -> None:
        if post.process is not None and post.process.poll() is not None:
            self._on_worker_exit(post, post.process.returncode)
        if post.mourned:
            self._requeue_runs(post)
        elif post.process is None and time.monotonic() >= post.not_before and self._wanted():
            self._start(post)

    def _wanted(self) -> bool:
        """Whether workers are to be at work. A ledger that does not answer is theirs to wait for."""
        with suppress(LedgerError):
            return self._ledger.settings.mode() is Mode.RUNNING
        return True

    def _start(self, post: _Post) -> None:
        environment = self._environment | {PARENT: str(os.getpid())}
        command = list(self._command(post.number))
        post.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        self._journal("worker_started", number=post.number, pid=post.process.pid)

    def _on_worker_exit(self, post: _Post, code: int) -> None:
        """A worker's process has ended: note how, and when the next may start."""
        assert post.process is not None
        if post.process.stdin is not None:
            post.process.stdin.close()
        words, how = read_box(self._home.box(post.number)), describe_end(code)
        self._journal("worker_ended", number=post.number, how=how, phase=words.phase, aboard=dict(words.aboard))
        expected = code in (ExitCode.STOPPED, ExitCode.AWAY, ExitCode.BROKEN)
        post.unlucky = post.unlucky + 1 if words.phase == STARTING and not expected else 0
        pause = min(LONGEST_PAUSE, 0.5 * 2.0**post.unlucky) if post.unlucky else 0.0
        post.process, post.not_before = None, time.monotonic() + pause
        post.mourned.append((words, "" if expected else how))

    def _requeue_runs(self, post: _Post) -> None:
        """Take back what the dead had; as long as the ledger does not answer, nobody takes their place."""
        while post.mourned:
            words, how = post.mourned[0]
            try:
                self._settle(words, how)
            except LedgerError as exc:
                self._journal("troubled", trouble=str(exc))
                return
            post.mourned.pop(0)

    def _settle(self, words: Inflight, how: str) -> None:
        if not words.worker:
            return
        for attempt in self._ledger.queue.open_attempts(words.worker):
            discard(self._home.videos, attempt)
        aboard = words.aboard if how and words.phase == ENGINE else {}
        poisoned = self._ledger.crashes.requeue_dead_worker(
            words.worker, how or "it ended with its process", aboard
        )
        self._ledger.workers.close([words.worker])
        if how:
            self._ledger.measurements.add_counters({("deaths", ""): 1.0, ("poisoned", ""): float(len(poisoned))})
        for run_id, evidence in poisoned.items():
            self._journal("poison", run=run_id, evidence=evidence)

    def _dismiss(self) -> None:
        """Tell every worker to stop, and wait until it has."""
        living = [post for post in self._posts if post.process is not None]
        for post in living:
            assert post.process is not None
            post.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self._grace
        for post in living:
            assert post.process is not None
            try:
                code = post.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                post.process.kill()
                code = post.process.wait()
            self._on_worker_exit(post, code)
            self._requeue_runs(post)


def describe_end(code: int) -> str:
    """How a process ended, by its exit code as `subprocess` gives it: "killed by SIGKILL", "exit code 1"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _clear(home: ServiceHome) -> None:
    """Delete what dead workers left, once the last of them is gone. Raises StorageError."""
    until = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            with OutputDirectory(home.videos):
                return
        except StorageError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
