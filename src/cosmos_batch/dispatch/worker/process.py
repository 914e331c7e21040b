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
from cosmos_batch.dispatch.observe.log import Journal
from cosmos_batch.dispatch.output.directory import OutputFolder
from cosmos_batch.dispatch.output.service_home import Home
from cosmos_batch.dispatch.worker.inflight import BlackBox
from cosmos_batch.dispatch.worker.retry import patiently
from cosmos_batch.dispatch.worker.worker import Ending, Machine, Service, Worker
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.ledger import Ledger, WorkerState
from cosmos_batch.ledger.connection import BUSY_SECONDS

PARENT = "COSMOS_BATCH_SUPERVISOR"  # the environment variable that holds the supervisor's process id
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def work(
    home: Home,
    number: int,
    hire: Callable[[], Machine],
    service: Service,
    *,
    ledger: URL | None = None,
    check: CheckOutput = check_output,
    busy: float = BUSY_SECONDS,
) -> Ending:
    """Be worker `number` of a service, in this process, until it is stopped; `hire` loads the engine.

    SIGTERM and SIGINT end it at the next step, with everything saved. Where a supervisor started this process, it
    ends with that. `busy`: seconds for which a locked ledger is waited for. Raises CosmosBatchError where the
    engine cannot be loaded or the folder not be used.
    """
    end_with_parent()
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    journal = Journal(sys.stderr, worker=name)
    home.make()
    box = BlackBox(home.box(number), name)
    book = patiently(lambda: Ledger(ledger or home.ledger, busy=busy), journal)
    with patiently(lambda: OutputFolder(home.videos, shared=True), journal) as folder:
        try:
            machine = _load(hire, book, name, journal)
            worker = Worker(machine, folder, book, box, name, service, journal, check)
            _heed_signals(worker)
            return worker.run()
        finally:
            book.close()


def _load(hire: Callable[[], Machine], ledger: Ledger, name: str, journal: Journal) -> Machine:
    """Load the engine, and say so in the ledger."""
    patiently(lambda: ledger.report(name, WorkerState.STARTING), journal)
    try:
        machine = hire()
    except CosmosBatchError as exc:
        trouble = str(exc)
        patiently(lambda: ledger.report(name, WorkerState.TROUBLED, trouble=trouble), journal)
        raise
    engine, device = machine.prior.engine, machine.prior.device
    patiently(lambda: ledger.introduce(name, engine, device), journal)
    return machine


def _heed_signals(worker: Worker) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop.reason = "the service stops"
        worker.stop.wanted = True

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
            os._exit(Ending.STOPPED)
    Thread(target=_die_at_end_of_input, name="leash", daemon=True).start()


def _die_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(Ending.STOPPED)
