"""Process of a worker: its entry point, and how it ends with the process that started it."""

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
from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.execution.context import CheckOutput
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.retry import retry_until_available
from cosmos_batch.dispatch.worker.worker import LoadedEngine, Worker, WorkerPlace, WorkerSettings, WorkerTime
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.ledger import Ledger, WorkerState
from cosmos_batch.ledger.database.connection import BUSY_SECONDS

PARENT = "COSMOS_BATCH_SUPERVISOR"  # the environment variable that holds process id of the supervisor
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_worker(
    home: ServiceHome,
    number: int,
    load_engine: Callable[[], LoadedEngine],
    settings: WorkerSettings,
    *,
    ledger: URL | None = None,
    check: CheckOutput = check_output,
    busy: float = BUSY_SECONDS,
) -> ExitCode:
    """Run worker `number` of a service in this process, until it is stopped.

    SIGTERM and SIGINT stop it at the next step, with a checkpoint of every run. Where a supervisor started this
    process, it ends when the supervisor does. `busy`: seconds to wait for a locked ledger. Raises
    CosmosBatchError where the engine cannot be loaded or the folder cannot be used.
    """
    end_with_parent()
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    log = EventLog(sys.stderr, worker=name)
    home.make()
    marker = InflightMarker(home.marker(number), name)
    service = "" if ledger is None else home.id
    database = retry_until_available(lambda: Ledger(ledger or home.ledger, busy=busy, service=service), log)
    with retry_until_available(lambda: OutputDirectory(home.videos, shared=True), log) as folder:
        try:
            engine = _load(load_engine, database, name, log)
            place = WorkerPlace(name, folder, database, marker, log)
            worker = Worker(engine, place, settings, check, WorkerTime(database.now))
            _stop_on_signals(worker)
            return worker.run()
        finally:
            database.close()


def _load(load_engine: Callable[[], LoadedEngine], ledger: Ledger, name: str, log: EventLog) -> LoadedEngine:
    """Load the engine, and report the worker's state to the ledger before and after."""
    retry_until_available(lambda: ledger.workers.report(name, WorkerState.STARTING), log)
    try:
        loaded = load_engine()
    except CosmosBatchError as exc:
        trouble = str(exc)
        retry_until_available(lambda: ledger.workers.report(name, WorkerState.TROUBLED, trouble=trouble), log)
        raise
    engine, device = loaded.prior.engine, loaded.prior.device
    retry_until_available(lambda: ledger.workers.register(name, engine, device), log)
    return loaded


def _stop_on_signals(worker: Worker) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop.request("the service stops")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def end_with_parent() -> None:
    """Have this process killed when the supervisor that started it dies.

    On Linux the kernel kills it. On every system, the thread `leash` ends it at the end of standard input, which
    the supervisor holds open.
    """
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # the supervisor died before the call
            os._exit(ExitCode.STOPPED)
    Thread(target=_exit_at_end_of_input, name="leash", daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(ExitCode.STOPPED)
