"""`cosmos-batch serve`, and the workers that it starts."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

from cosmos_batch.cli.render.text import safe
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.scheduler.planned_queue import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher
from cosmos_batch.dispatch.worker.process import run_worker
from cosmos_batch.dispatch.worker.supervisor import OnStart, Supervisor
from cosmos_batch.dispatch.worker.worker import LoadedEngine
from cosmos_batch.dispatch.worker.worker import WorkerSettings as Work
from cosmos_batch.engines.registry import EngineChoice, Engines
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.service.server import listen, prepare
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import ServedEngine

_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a service's workers are set."""

    workers: int
    flush_seconds: float
    flush_runs: int
    max_batch: int | None
    max_failures: int
    save_every: float

    def arguments(self, place: ServiceLocation, choice: EngineChoice) -> list[str]:
        """The arguments of a worker's command that say all this."""
        said = {
            "--workers": self.workers,
            "--flush-seconds": self.flush_seconds,
            "--flush-runs": self.flush_runs,
            "--max-batch": self.max_batch,
            "--max-failures": self.max_failures,
            "--save-every": self.save_every,
            "--ledger": place.ledger,
            "--engine": choice.engine,
            "--model": choice.model,
            "--config": choice.config,
        }
        given = [[name, str(value)] for name, value in said.items() if value is not None]
        given += [["--offload", part] for part in sorted(choice.options.offload)]
        given += [["--approximate", word] for word in sorted(choice.options.approximations)]
        given += [["--split-guidance"]] if choice.options.split_guidance else []
        return [str(place.home.absolute()), *(word for pair in given for word in pair)]


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What `cosmos-batch serve` is asked for."""

    place: ServiceLocation
    choice: EngineChoice
    serving: ServerSettings
    workers: WorkerOptions
    on_start: OnStart


def serve_command(engines: Engines, orders: ServeRequest) -> int:
    """Serve until a signal says to stop; returns the exit code. Raises CosmosBatchError."""
    preview = engines.preview(orders.choice)
    ledger = orders.place.open()
    try:
        served = ServedEngine(orders.choice.name, preview.traits, preview.prior)
        journal = EventLog(sys.stderr, worker="http")
        server = prepare(orders.place.home, ledger, served, orders.serving, journal)
        with listen(orders.serving) as listening, _supervisor(orders, ledger):
            _outlive_signals()
            _announce(orders.serving, listening.getsockname()[1])
            server.run(sockets=[listening])
            print("stopping: what runs is set aside and saved", flush=True)
    finally:
        ledger.close()
    return 0


def _supervisor(orders: ServeRequest, ledger: Ledger) -> Supervisor:
    command = [*_program(), "worker", *orders.workers.arguments(orders.place, orders.choice), "--number"]
    home = ServiceHome(orders.place.home.absolute())
    launcher = LocalWorkerLauncher(home, lambda number: [*command, str(number)])
    return Supervisor(home, ledger, launcher, workers=orders.workers.workers, on_start=orders.on_start)


def _announce(serving: ServerSettings, port: int) -> None:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    print(f"cosmos-batch serves http://{safe(host)}:{port} (/docs: the API); Ctrl-C stops it", flush=True)


def _program() -> list[str]:
    """How this process was started, without its arguments."""
    return sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]


def _outlive_signals() -> None:
    """Let signals stop the server, which catches them, and not this process before its workers have stopped."""

    def heed(_number: int, _frame: FrameType | None) -> None:
        """The server has heeded it."""

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heed)


def worker_command(
    engines: Engines, place: ServiceLocation, choice: EngineChoice, options: WorkerOptions, number: int
) -> int:
    """Be one of a service's workers until it is told to stop; returns how it ended. Raises CosmosBatchError."""
    _take_devices(number, options.workers, choice.options.gpus)
    settings = DispatchSettings(
        save_every=options.save_every,
        max_failures=options.max_failures,
        max_batch=options.max_batch,
        retry_wait=5.0,
        guarded=True,
    )
    habits = SchedulerSettings(rules=FlushRules(options.flush_seconds, options.flush_runs))

    def hire() -> LoadedEngine:
        loaded = engines.load(choice, sorted(engines.preview(choice).traits.controls))
        return LoadedEngine(loaded.engine, loaded.prior)

    service = Work(scheduler=habits, dispatch=settings)
    return int(run_worker(ServiceHome(place.home), number, hire, service, ledger=place.url))


def _take_devices(number: int, workers: int, gpus: int) -> None:
    """Show each of several workers GPUs of its own: of those that may be seen, the next so many."""
    if workers == 1:
        return
    seen = [name for name in os.environ.get(_DEVICES, "").split(",") if name]
    places = range(number * gpus, (number + 1) * gpus)
    os.environ[_DEVICES] = ",".join(seen[place % len(seen)] if seen else str(place) for place in places)
