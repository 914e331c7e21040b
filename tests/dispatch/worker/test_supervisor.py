"""The supervisor, with workers that are small scripts: whom it starts, what it sets right, whom it buries."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import HOME, OutputDirectory
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.worker.inflight import InflightMarker
from cosmos_batch.dispatch.worker.launcher import LocalWorkerLauncher
from cosmos_batch.dispatch.worker.supervisor import OnStart, Supervisor
from cosmos_batch.errors import StorageError
from cosmos_batch.ledger import BatchFacts, Ledger, Mode, State
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run
from tests.support.runs import resolved

FACTS = BatchFacts("replay", Shape(32, 32, 2), 1.0, 0)
PATIENT = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({!r}, 'w'); time.sleep(60)"


class Scene:
    """A service's folder and ledger, without workers."""

    def __init__(self, root: Path) -> None:
        self.home = ServiceHome(root / "home")
        self.home.make()
        self.ledger = Ledger(self.home.ledger)
        self.log = io.StringIO()

    def supervisor(self, script: str = PATIENT, on_start: OnStart = OnStart.KEEP, grace: float = 10) -> Supervisor:
        command = [sys.executable, "-S", "-c", script]
        launcher = LocalWorkerLauncher(self.home, lambda _number: command, grace=grace)
        return Supervisor(self.home, self.ledger, launcher, on_start=on_start, log=EventLog(self.log))

    def submit(self, *ids: str) -> None:
        control = Control(name="edge", weight=1.0, video="/in.mp4")
        self.ledger.runs.submit([resolved(Run(id=id_, prompt="a street", controls=(control,))) for id_ in ids])

    def hold(self, *ids: str) -> None:
        """A worker, dead by now, took these runs."""
        assert self.ledger.queue.claim(ids, FACTS, "w", 60) is not None

    def states(self) -> dict[str, State]:
        return {standing.id: standing.state for standing in self.ledger.queries.statuses()}

    def happened(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.ledger.close()


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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
    scene: Scene, on_start: OnStart, left: Mode, found: Mode
) -> None:
    scene.ledger.settings.set_mode(left)

    with scene.supervisor(on_start=on_start):
        assert scene.ledger.settings.mode() is found


def test_workers_run_only_while_the_queue_runs(scene: Scene) -> None:
    with scene.supervisor(on_start=OnStart.PAUSE) as supervisor:
        scene.submit("a")
        assert supervisor.running == []
        scene.ledger.settings.set_mode(Mode.RUNNING)
        until(lambda: supervisor.running)

    assert supervisor.running == []
    assert scene.happened("worker_ended")[0]["how"] == "killed by SIGTERM"


def test_start_requeues_the_runs_of_a_killed_service(scene: Scene) -> None:
    scene.submit("a", "b")
    scene.hold("a")
    with OutputDirectory(scene.home.videos) as folder:
        (folder.work(1) / "half.mp4").write_text("half a vid")

    with scene.supervisor(on_start=OnStart.PAUSE):
        assert scene.states() == {"a": State.QUEUED, "b": State.QUEUED}

    assert not any((scene.home.videos / HOME / "work").iterdir())
    assert scene.ledger.queries.history("a")[-1].reason == "the service was started anew"


def test_folder_is_served_by_one_supervisor(scene: Scene) -> None:
    with scene.supervisor(), pytest.raises(StorageError, match="is served by process"):
        scene.supervisor().__enter__()


def test_run_that_crashes_two_workers_alone_is_quarantined_with_the_evidence(scene: Scene) -> None:
    last_words = json.dumps({"worker": "w", "phase": "engine", "aboard": {"bad": 3}})
    dying = f"import os; open({str(scene.home.marker(0))!r}, 'w').write({last_words!r}); os.kill(os.getpid(), 11)"
    scene.submit("bad", "held", "waits")

    with scene.supervisor(dying, on_start=OnStart.PAUSE):
        scene.hold("bad", "held")
        scene.ledger.settings.set_mode(Mode.RUNNING)
        until(lambda: len(scene.happened("poison")) == 1)
        scene.ledger.settings.set_mode(Mode.PAUSED)

    assert scene.states() == {"bad": State.FAILED, "held": State.QUEUED, "waits": State.QUEUED}
    assert scene.ledger.queries.history("bad")[-1].reason == (
        "quarantined: 2 workers crashed while executing it, 2 of them with no other run, the last two times "
        "after step 3 "
        "(killed by SIGSEGV)"
    )
    assert scene.ledger.measurements.counters()["poisoned", ""] == 1


def test_worker_that_ignores_sigterm_is_killed_and_its_runs_are_requeued(scene: Scene) -> None:
    deaf = scene.home.root / "deaf"
    with scene.supervisor(DEAF.format(str(deaf)), grace=0.1):
        until(deaf.exists)
        InflightMarker(scene.home.marker(0), "w")
        scene.submit("a")
        scene.hold("a")

    assert scene.happened("worker_ended")[0]["how"] == "killed by SIGKILL"
    assert scene.states() == {"a": State.QUEUED}


def test_sweep_deletes_checkpoints_of_runs_that_ended_while_they_waited(scene: Scene) -> None:
    scene.submit("cancelled", "waits-on")
    scene.ledger.runs.cancel(["cancelled"])
    with OutputDirectory(scene.home.videos) as folder:
        for run_id in ("cancelled", "waits-on", "forgotten"):
            folder.state(run_id, "0123").write_text("latents")

    with scene.supervisor(on_start=OnStart.PAUSE):
        pass

    assert [path.name for path in (scene.home.videos / HOME / "state").iterdir()] == ["waits-on-0123.safetensors"]


def test_sweep_deletes_leftovers_of_attempts_that_ended_while_the_folder_was_gone(scene: Scene) -> None:
    with scene.supervisor(on_start=OnStart.PAUSE):
        scene.submit("ended", "goes-on")
        scene.hold("ended", "goes-on")
        ended = scene.ledger.queries.attempts("ended")[0].id
        scene.ledger.attempts.finish(ended, State.QUEUED, "the output folder is gone")
        for attempt in (1, 2):
            (scene.home.videos / HOME / "work" / str(attempt)).mkdir()

    left = [int(path.name) for path in (scene.home.videos / HOME / "work").iterdir()]
    assert left == [3 - ended]
