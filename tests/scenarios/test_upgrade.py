"""A command and a service that an earlier version began, continued by this version (tests/data/ledger_r0002)."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.dispatch.worker.inflight import read_inflight
from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import BatchJobState, Ledger, State, Submission, WorkerState
from cosmos_batch.ledger.database.connection import HEAD
from cosmos_batch.planning.cost.model import Measurement
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun
from cosmos_batch.service.api_keys import digest_of
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS, EventRecorder, dispatch, make_run, states
from tests.support.service_world import World

DATA = Path(__file__).parents[1] / "data" / "ledger_r0002"
LEDGER = Path("out/.cosmos-batch/ledger.sqlite")
COMMAND = {
    "made": State.SUCCEEDED,
    "broken": State.FAILED,
    "refused": State.BLOCKED,
    "half": State.RUNNING,
    "waits": State.QUEUED,
    "also-waits": State.QUEUED,
}
SERVICE = {
    "made": State.SUCCEEDED,
    "broken": State.BLOCKED,
    "unwanted": State.CANCELLED,
    "batch_old-1": State.RUNNING,
    "batch_old-2": State.RUNNING,
    "to-cancel": State.RUNNING,
    "waits": State.QUEUED,
}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ResolvedRun]:
    """The runs of the command, in a copy of its folder."""
    shutil.copytree(DATA / "command", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return [make_run(run_id, Path("in.mp4"), prompt=f"street {run_id}", steps=4) for run_id in COMMAND]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The service, in a copy of its HOME."""
    shutil.copytree(DATA / "service", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return World(Path())


def test_ledger_of_a_command_keeps_its_runs(command: list[ResolvedRun]) -> None:
    ledger = Ledger(LEDGER)

    statuses = ledger.queries.statuses()

    assert {status.id: status.state for status in statuses} == COMMAND
    assert {status.id: status.fingerprint for status in statuses} == {run.id: run.fingerprint for run in command}
    records = ledger.queries.records(COMMAND)
    assert [records[run.id].run for run in command] == command
    assert [change.state for change in ledger.queries.history("made")] == [
        State.QUEUED,
        State.LEASED,
        State.RUNNING,
        State.SUCCEEDED,
    ]
    assert [attempt.outcome for attempt in ledger.queries.attempts("half")] == [None]
    ledger.close()


def test_command_continues_where_the_earlier_version_was_killed(command: list[ResolvedRun]) -> None:
    finished = Path("out/made/output.mp4")
    before = hashlib.sha256(finished.read_bytes()).hexdigest(), finished.stat().st_mtime_ns
    events = EventRecorder()

    ended = dispatch(command, Path("out"), settings=DispatchSettings(max_batch=1), events=events)

    assert states(ended) == dict.fromkeys(COMMAND, State.SUCCEEDED) | {"refused": State.BLOCKED}
    assert sorted(run for batch in events.batches for run in batch) == ["also-waits", "broken", "half", "waits"]
    assert (hashlib.sha256(finished.read_bytes()).hexdigest(), finished.stat().st_mtime_ns) == before
    assert [step for run_id, step in events.steps if run_id == "half"] == [2, 3, 4]  # step 1 was saved
    assert json.loads(Path("out/half/run.json").read_text())["resumed"]


def test_ledger_of_a_service_keeps_its_records(world: World) -> None:
    ledger = world.ledger

    assert world.states() == SERVICE
    assert [(key.name, key.revoked is None) for key in ledger.api_keys.all()] == [("alice", True), ("bob", False)]
    assert ledger.api_keys.name_of(digest_of("cb_of-the-old-version")) == "alice"
    job = ledger.batch_jobs.get("batch_old")
    assert job is not None
    assert (job.state, job.details, job.total) == (BatchJobState.IN_PROGRESS, {"project": "night"}, 2)
    assert list(ledger.batch_jobs.runs("batch_old")) == [("batch_old-1", "one"), ("batch_old-2", "two")]
    assert {file.id: file.facts for file in ledger.files.page()} == {"file-lines": None, "file-video": FACTS}
    assert ledger.settings.get("note") == "kept"
    assert ledger.measurements.counters() == {("retries", ""): 2.0}
    assert ledger.measurements.limits("replay", "virtual") == {Shape(32, 32, 2): 64}
    assert ledger.measurements.latest("replay", "virtual") == [
        Measurement(engine="replay", device="virtual", kind="batch", seconds=8.0, runs=2, predicted_seconds=6.0)
    ]
    (worker,) = ledger.workers.all()
    assert (worker.id, worker.state, worker.forecast["runs"]) == ("worker1", WorkerState.WORKING, 1)
    assert worker.heartbeat == 1_000_012.5
    record = ledger.queries.get("batch_old-1")
    assert record is not None
    assert (record.owner, record.batch_job_id, record.custom_id) == ("alice", "batch_old", "one")
    assert (record.shape_label, record.facts) == ("edge, 32x32, 2 frames", {"in.mp4": FACTS})
    assert ledger.queue.cancel_requests() == ["to-cancel"]
    assert read_inflight(world.home.marker(0)).running == {"batch_old-1": 12, "batch_old-2": 12, "to-cancel": 12}
    again = Submission(
        world.run("another", steps=2), key="alice:k1", digest=world.run("made", steps=2).fingerprint
    )
    assert [(found.run, found.new) for found in ledger.runs.accept([again])] == [("made", False)]


def test_service_continues_where_the_earlier_version_was_killed(world: World) -> None:
    made = world.home.videos / "made" / "output.mp4"
    before = made.stat().st_mtime_ns
    world.clock.time += 60

    world.ledger.queue.reclaim("the service was started again", every_worker=True)
    world.serve()

    ended = SERVICE | {"to-cancel": State.CANCELLED}
    ended |= dict.fromkeys(("batch_old-1", "batch_old-2", "waits"), State.SUCCEEDED)
    assert world.states() == ended
    assert made.stat().st_mtime_ns == before
    assert json.loads((world.home.videos / "batch_old-1" / "run.json").read_text())["resumed"]
    service = AppState(
        world.home.root, world.ledger, ServedEngine("m", TRAITS, PRIOR), ServerSettings(), EventLog(world.log)
    )
    service.batch_jobs.advance()
    job = world.ledger.batch_jobs.get("batch_old")
    assert job is not None
    assert job.state is BatchJobState.COMPLETED
    output = world.ledger.files.get(job.output_file)
    assert output is not None
    lines = [json.loads(line) for line in Path(output.path).read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == ["one", "two"]


def test_interrupted_migration_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    home = ServiceHome(tmp_path / "interrupted")
    home.make()
    shutil.copy(DATA / "service" / "home" / "ledger.sqlite", home.ledger)
    with sqlite3.connect(home.ledger) as holder:
        holder.execute("CREATE TABLE settings (name)")  # the migration fails here, after many of its changes
    holder.close()

    with pytest.raises(LedgerError, match="settings"):
        Ledger(home.ledger)

    with sqlite3.connect(home.ledger) as holder:
        assert holder.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
        assert holder.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        holder.execute("DROP TABLE settings")
    holder.close()
    ledger = Ledger(home.ledger)
    assert {status.id: status.state for status in ledger.queries.statuses()} == SERVICE
    with ledger.database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD
    ledger.close()
