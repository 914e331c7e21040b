"""`cosmos-batch serve`, and the `worker` command of the processes that it starts."""

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
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher
from cosmos_batch.dispatch.worker.process import run_worker
from cosmos_batch.dispatch.worker.supervisor import OnStart, Supervisor
from cosmos_batch.dispatch.worker.worker import LoadedEngine, WorkerSettings
from cosmos_batch.engines.registry import EngineChoice, Engines
from cosmos_batch.errors import InputError
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.service.server import listen, prepare
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import ServedEngine

_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Settings of a service's workers."""

    workers: int
    flush_seconds: float
    flush_runs: int
    max_batch: int | None
    max_failures: int
    save_every: float
    prediction: bool
    scorers: tuple[str, ...] = ()  # of every video, beside the scores that all get

    def arguments(self, location: ServiceLocation, choice: EngineChoice) -> list[str]:
        """The same settings as arguments of a worker's command."""
        options = {
            "--workers": self.workers,
            "--flush-seconds": self.flush_seconds,
            "--flush-runs": self.flush_runs,
            "--max-batch": self.max_batch,
            "--max-failures": self.max_failures,
            "--save-every": self.save_every,
            "--score": ",".join(self.scorers) or None,
            "--ledger": location.ledger,
            "--engine": choice.engine,
            "--model": choice.model,
            "--config": choice.config,
        }
        given = [[name, str(value)] for name, value in options.items() if value is not None]
        given += [["--offload", part] for part in sorted(choice.options.offload)]
        given += [["--approximate", word] for word in sorted(choice.options.approximations)]
        given += [] if self.prediction else [["--no-prediction"]]
        given += [["--split-guidance"]] if choice.options.split_guidance else []
        return [str(location.home.absolute()), *(word for pair in given for word in pair)]


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """Arguments of `cosmos-batch serve`."""

    location: ServiceLocation
    choice: EngineChoice
    serving: ServerSettings
    workers: WorkerOptions
    on_start: OnStart


def serve_command(engines: Engines, request: ServeRequest) -> int:
    """Serve until a signal arrives; returns the exit code. Raises CosmosBatchError.

    An engine that cannot make any run here is refused before anything else: its workers could not start.
    """
    preview = engines.preview(request.choice, executes=True)
    if preview.problems:
        raise InputError(preview.problems)
    ledger = request.location.open()
    try:
        served = ServedEngine(request.choice.name, preview.traits, preview.prior, preview.drafts)
        log = EventLog(sys.stderr, worker="http")
        server = prepare(request.location.home, ledger, served, request.serving, log)
        with listen(request.serving) as listening, _supervisor(request, ledger):
            _outlive_signals()
            _announce(request.serving, listening.getsockname()[1])
            server.run(sockets=[listening])
            print("stopping: checkpoints of the running runs are being written", flush=True)
    finally:
        ledger.close()
    return 0


def _supervisor(request: ServeRequest, ledger: Ledger) -> Supervisor:
    command = [*_program(), "worker", *request.workers.arguments(request.location, request.choice), "--number"]
    home = ServiceHome(request.location.home.absolute())
    launcher = LocalWorkerLauncher(home, lambda number: [*command, str(number)])
    return Supervisor(home, ledger, launcher, workers=request.workers.workers, on_start=request.on_start)


def _announce(serving: ServerSettings, port: int) -> None:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    print(f"cosmos-batch serves http://{safe(host)}:{port} (/docs: the API); Ctrl-C stops it", flush=True)


def _program() -> list[str]:
    """The command of this process without its arguments."""
    return sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]


def _outlive_signals() -> None:
    """Ignore signals, which the server catches, so that this process outlives its workers."""

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Do nothing: the server handles the signal."""

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ignore)


def worker_command(
    engines: Engines, location: ServiceLocation, choice: EngineChoice, options: WorkerOptions, number: int
) -> int:
    """Run one of a service's workers until it is stopped; returns its exit code. Raises CosmosBatchError."""
    _take_devices(number, options.workers, choice.options.gpus)
    settings = DispatchSettings(
        save_every=options.save_every,
        scorers=options.scorers,
        max_failures=options.max_failures,
        max_batch=options.max_batch,
        retry_wait=5.0,
        guarded=True,
    )
    scheduler = SchedulerSettings(rules=FlushRules(options.flush_seconds, options.flush_runs))

    def load_engine() -> LoadedEngine:
        loaded = engines.load(choice, sorted(engines.preview(choice).traits.controls))
        return LoadedEngine(loaded.engine, loaded.prior)

    worker = WorkerSettings(scheduler=scheduler, dispatch=settings, prediction=options.prediction)
    return int(run_worker(ServiceHome(location.home), number, load_engine, worker, ledger=location.url))


def _take_devices(number: int, workers: int, gpus: int) -> None:
    """Restrict this worker to GPUs of its own: the next `gpus` of the visible ones. One worker sees all."""
    if workers == 1:
        return
    visible = [name for name in os.environ.get(_DEVICES, "").split(",") if name]
    indices = range(number * gpus, (number + 1) * gpus)
    os.environ[_DEVICES] = ",".join(visible[index % len(visible)] if visible else str(index) for index in indices)
