"""A worker's process: what it needs, put together, and how it ends with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from threading import Thread
from types import FrameType

from sqlalchemy import URL

from cosmos_batch.dispatch.command import check_output
from cosmos_batch.dispatch.execution.attempts import CheckOutput
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.retry import retry_until_available
from cosmos_batch.dispatch.worker.worker import ExitCode, LoadedEngine, Worker, WorkerSettings
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.ledger import Ledger, WorkerState
from cosmos_batch.ledger.connection import BUSY_SECONDS

PARENT = "COSMOS_BATCH_SUPERVISOR"  # the environment variable that holds the supervisor's process id
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_worker(
    home: ServiceHome,
    number: int,
    load_engine: Callable[[], LoadedEngine],
    service: WorkerSettings,
    *,
    ledger: URL | None = None,
    check: CheckOutput = check_output,
    busy: float = BUSY_SECONDS,
) -> ExitCode:
    """Be worker `number` of a service, in this process, until it is stopped; `hire` loads the engine.

    SIGTERM and SIGINT end it at the next step, with everything saved. Where a supervisor started this process, it
    ends with that. `busy`: seconds for which a locked ledger is waited for. Raises CosmosBatchError where the
    engine cannot be loaded or the folder not be used.
    """
    end_with_parent()
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    journal = EventLog(sys.stderr, worker=name)
    home.make()
    box = InflightMarker(home.box(number), name)
    book = retry_until_available(lambda: Ledger(ledger or home.ledger, busy=busy), journal)
    with retry_until_available(lambda: OutputDirectory(home.videos, shared=True), journal) as folder:
        try:
            machine = _load(load_engine, book, name, journal)
            worker = Worker(machine, folder, book, box, name, service, journal, check)
            _heed_signals(worker)
            return worker.run()
        finally:
            book.close()


def _load(hire: Callable[[], LoadedEngine], ledger: Ledger, name: str, journal: EventLog) -> LoadedEngine:
    """Load the engine, and say so in the ledger."""
    retry_until_available(lambda: ledger.workers.report(name, WorkerState.STARTING), journal)
    try:
        machine = hire()
    except CosmosBatchError as exc:
        trouble = str(exc)
        retry_until_available(lambda: ledger.workers.report(name, WorkerState.TROUBLED, trouble=trouble), journal)
        raise
    engine, device = machine.prior.engine, machine.prior.device
    retry_until_available(lambda: ledger.workers.register(name, engine, device), journal)
    return machine


def _heed_signals(worker: Worker) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop.reason = "the service stops"
        worker.stop.requested = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def end_with_parent() -> None:
    """Have this process killed when the supervisor that started it dies, by whatever means.

    On Linux the kernel does it. Everywhere, the end of standard input, which the supervisor holds open, does.
    """
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it died before it was asked to take us with it
            os._exit(ExitCode.STOPPED)
    Thread(target=_die_at_end_of_input, name="leash", daemon=True).start()


def _die_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(ExitCode.STOPPED)
