"""The supervisor, with small scripts as workers: starts, restarts, crash attribution, sweeps."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import HOME, OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher
from cosmos_batch.dispatch.worker.supervisor import OnStart, Supervisor
from cosmos_batch.errors import StorageError
from cosmos_batch.ledger import BatchFacts, Ledger, Mode, State, WorkerState
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run
from tests.support.runs import resolved
from tests.support.waiting import wait_until

FACTS = BatchFacts("replay", Shape(32, 32, 2), 1.0, 0)
SLEEPING = "import time; time.sleep(60)"
IGNORING_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({!r}, 'w'); time.sleep(60)"
)


class Service:
    """A service's folder and ledger, without workers."""

    def __init__(self, root: Path, place: Path | URL, service: str = "") -> None:
        self.home = ServiceHome(root / "home")
        self.home.make()
        self.ledger = Ledger(place, service=service)
        self.log = io.StringIO()

    def supervisor(
        self, script: str = SLEEPING, on_start: OnStart = OnStart.KEEP, grace: float = 10
    ) -> Supervisor:
        command = [sys.executable, "-S", "-c", script]
        launcher = LocalWorkerLauncher(self.home, lambda _number: command, grace=grace)
        return Supervisor(self.home, self.ledger, launcher, on_start=on_start, log=EventLog(self.log))

    def submit(self, *ids: str) -> None:
        control = Control(name="edge", weight=1.0, video="/in.mp4")
        self.ledger.runs.submit([resolved(Run(id=id_, prompt="a street", controls=(control,))) for id_ in ids])

    def claim(self, *ids: str) -> None:
        """Claim these runs for a worker that is dead by now."""
        assert self.ledger.queue.claim(ids, FACTS, "w", 60) is not None

    def states(self) -> dict[str, State]:
        return {status.id: status.state for status in self.ledger.queries.statuses()}

    def logged(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def service(tmp_path: Path, place: Path | URL) -> Iterator[Service]:
    made = Service(tmp_path, place)
    yield made
    made.ledger.close()


@pytest.mark.parametrize(
    ("on_start", "left", "found"),
    [
        (OnStart.RUN, Mode.PAUSED, Mode.RUNNING),
        (OnStart.PAUSE, Mode.RUNNING, Mode.PAUSED),
        (OnStart.KEEP, Mode.RUNNING, Mode.RUNNING),
        (OnStart.KEEP, Mode.PAUSED, Mode.PAUSED),
        (OnStart.KEEP, Mode.DRAINING, Mode.DRAINING),
    ],
)
def test_start_sets_or_keeps_the_mode_of_the_queue(
    service: Service, on_start: OnStart, left: Mode, found: Mode
) -> None:
    service.ledger.settings.set_mode(left)

    with service.supervisor(on_start=on_start):
        assert service.ledger.settings.mode() is found


def test_start_of_one_of_two_services_leaves_the_other_its_runs_and_its_mode(
    tmp_path: Path, place: Path | URL
) -> None:
    first, second = Service(tmp_path / "1", place, "one"), Service(tmp_path / "2", place, "two")
    first.submit("a")
    first.claim("a")

    with second.supervisor(on_start=OnStart.PAUSE):
        modes = [each.ledger.settings.mode() for each in (first, second)]
        polled = [each.ledger.queue.poll().mode for each in (first, second)]
        assert modes == polled == [Mode.RUNNING, Mode.PAUSED]
        assert first.states() == {"a": State.LEASED}
        first.ledger.settings.set_mode(Mode.DRAINING)
        assert second.ledger.settings.mode() is Mode.DRAINING

    first.ledger.close()
    second.ledger.close()


def test_workers_run_only_while_the_queue_runs(service: Service) -> None:
    with service.supervisor(on_start=OnStart.PAUSE) as supervisor:
        service.submit("a")
        assert supervisor.running == []
        service.ledger.settings.set_mode(Mode.RUNNING)
        wait_until(lambda: supervisor.running)

    assert supervisor.running == []
    assert service.logged("worker_ended")[0]["how"] == "killed by SIGTERM"


def test_start_requeues_the_runs_of_a_killed_service(service: Service) -> None:
    service.submit("a", "b")
    service.claim("a")
    InflightMarker(service.home.marker(7), "w")
    with OutputDirectory(service.home.videos) as folder:
        (folder.work(1) / "half.mp4").write_text("half a vid")

    with service.supervisor(on_start=OnStart.PAUSE):
        assert service.states() == {"a": State.QUEUED, "b": State.QUEUED}

    assert not any((service.home.videos / HOME / "work").iterdir())
    assert service.ledger.queries.history("a")[-1].reason == "the service was started anew"


def test_start_leaves_the_runs_of_another_service_on_the_ledger(service: Service, tmp_path: Path) -> None:
    other = ServiceHome(tmp_path / "other")
    other.make()
    InflightMarker(other.marker(0), "theirs")
    InflightMarker(service.home.marker(0), "w")
    service.submit("a", "b", "c")
    service.claim("a")
    assert service.ledger.queue.claim(["b", "c"], FACTS, "theirs", 60) is not None
    service.ledger.attempts.begin(["b"])
    for worker in ("w", "theirs"):
        service.ledger.workers.report(worker, WorkerState.WORKING)

    with service.supervisor(on_start=OnStart.PAUSE):
        assert service.states() == {"a": State.QUEUED, "b": State.RUNNING, "c": State.LEASED}
        assert [worker.id for worker in service.ledger.workers.all()] == ["theirs"]

    assert service.states() == {"a": State.QUEUED, "b": State.RUNNING, "c": State.LEASED}


def test_run_of_a_worker_whose_marker_is_lost_waits_for_the_end_of_its_lease(service: Service) -> None:
    service.submit("a")
    service.claim("a")
    service.home.marker(0).write_bytes(b"\0" * 40)

    with service.supervisor(on_start=OnStart.PAUSE):
        assert service.states() == {"a": State.LEASED}


def test_folder_is_served_by_one_supervisor(service: Service) -> None:
    with service.supervisor(), pytest.raises(StorageError, match="is served by process"):
        service.supervisor().__enter__()


def test_run_that_crashes_two_workers_alone_is_quarantined_with_the_evidence(service: Service) -> None:
    marker = json.dumps({"worker": "w", "phase": "engine", "running": {"bad": 3}})
    crashing = f"import os; open({str(service.home.marker(0))!r}, 'w').write({marker!r}); os.kill(os.getpid(), 11)"
    service.submit("bad", "held", "waits")

    with service.supervisor(crashing, on_start=OnStart.PAUSE):
        service.claim("bad", "held")
        service.ledger.settings.set_mode(Mode.RUNNING)
        wait_until(lambda: len(service.logged("poison")) == 1)
        service.ledger.settings.set_mode(Mode.PAUSED)

    assert service.states() == {"bad": State.FAILED, "held": State.QUEUED, "waits": State.QUEUED}
    assert service.ledger.queries.history("bad")[-1].reason == (
        "quarantined: 2 workers crashed while executing it, 2 of them with no other run, the last two times "
        "after step 3 "
        "(killed by SIGSEGV)"
    )
    assert service.ledger.measurements.counters()["poisoned", ""] == 1


def test_worker_that_ignores_sigterm_is_killed_and_its_runs_are_requeued(service: Service) -> None:
    ready = service.home.root / "ready"
    with service.supervisor(IGNORING_SIGTERM.format(str(ready)), grace=0.1):
        wait_until(ready.exists)
        InflightMarker(service.home.marker(0), "w")
        service.submit("a")
        service.claim("a")

    assert service.logged("worker_ended")[0]["how"] == "killed by SIGKILL"
    assert service.states() == {"a": State.QUEUED}


def test_sweep_deletes_checkpoints_of_runs_that_ended_while_they_waited(service: Service) -> None:
    service.submit("cancelled", "waits-on")
    service.ledger.runs.cancel(["cancelled"])
    with OutputDirectory(service.home.videos) as folder:
        for run_id in ("cancelled", "waits-on", "forgotten"):
            folder.checkpoint(run_id, "0123").write_text("latents")

    with service.supervisor(on_start=OnStart.PAUSE):
        pass

    assert [path.name for path in (service.home.videos / HOME / "state").iterdir()] == [
        "waits-on-0123.safetensors"
    ]


def test_sweep_deletes_leftovers_of_attempts_that_ended_while_the_folder_was_gone(service: Service) -> None:
    with service.supervisor(on_start=OnStart.PAUSE):
        service.submit("ended", "goes-on")
        service.claim("ended", "goes-on")
        ended = service.ledger.queries.attempts("ended")[0].id
        service.ledger.attempts.finish(ended, State.QUEUED, "the output folder is gone")
        for attempt in (1, 2):
            (service.home.videos / HOME / "work" / str(attempt)).mkdir()

    left = [int(path.name) for path in (service.home.videos / HOME / "work").iterdir()]
    assert left == [3 - ended]
