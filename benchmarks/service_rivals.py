"""Two other job queues under the same load: procrastinate on Postgres, dramatiq on Redis.

Each has a database of its own in a temporary folder. Postgres syncs its log at every commit, which is its default;
Redis appends to a file that it syncs once a second. Needs the group `bench` of pyproject.toml, and the programs
initdb, postgres and redis-server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.service_load import Load, Submit, load

PATIENCE = 30.0  # seconds for a database to start


def measure_procrastinate(clients: int, seconds: float, jobs: int, place: Path) -> tuple[Load, float]:
    """Measure submissions, and the jobs per second that one worker fetches and finishes."""
    import procrastinate

    with _postgres(place) as dsn:
        with procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=dsn)).open() as app:
            app.schema_manager.apply_schema()

        def connect() -> Submit:
            queue = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=dsn))
            queue.open()
            task = queue.configure_task("make", queue="runs", allow_unknown=True)
            return lambda job: task.defer(**job)

        found = load(clients, seconds, connect)
        return found, asyncio.run(_fetched(dsn, min(jobs, len(found.latencies))))


async def _fetched(dsn: str, jobs: int) -> float:
    import procrastinate
    from procrastinate.jobs import Status

    async with procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn)).open_async() as app:
        manager = app.job_manager
        worker = await manager.register_worker()
        began = time.perf_counter()
        for _ in range(jobs):
            job = await manager.fetch_job(queues=["runs"], worker_id=worker)
            assert job is not None
            await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
        return jobs / (time.perf_counter() - began)


@contextlib.contextmanager
def _postgres(place: Path) -> Iterator[str]:
    """Run Postgres with its own folder and socket; as the user postgres if this process is root."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, user)
        place.parent.chmod(0o755)
    data = place / "data"
    owner: dict[str, Any] = {"user": user} if os.geteuid() == 0 else {}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": place, **owner}
    subprocess.run([_program("initdb"), "-D", str(data), "-A", "trust", "-U", "queue"], check=True, **quiet)
    command = [_program("postgres"), "-D", str(data), "-k", str(place), "-c", "listen_addresses="]
    process = subprocess.Popen(command, **quiet)
    try:
        _wait_until((place / ".s.PGSQL.5432").exists)
        yield f"host={place} user=queue dbname=postgres"
    finally:
        process.terminate()
        process.wait()


def measure_dramatiq(clients: int, seconds: float, jobs: int, place: Path) -> tuple[Load, float]:
    """Measure submissions, and the jobs per second that one worker fetches and acknowledges."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    with _redis(place) as url:

        def connect() -> Submit:
            broker = RedisBroker(url=url)
            broker.declare_queue("runs")
            return lambda job: broker.enqueue(
                dramatiq.Message(queue_name="runs", actor_name="make", args=(), kwargs=job, options={})
            )

        found = load(clients, seconds, connect)
        consumer = RedisBroker(url=url).consume("runs", prefetch=8)
        jobs = min(jobs, len(found.latencies))
        began = time.perf_counter()
        for _ in range(jobs):
            message = next(consumer)
            assert message is not None
            consumer.ack(message)
        return found, jobs / (time.perf_counter() - began)


@contextlib.contextmanager
def _redis(place: Path) -> Iterator[str]:
    place.mkdir()
    socket = place / "redis.sock"
    command = [_program("redis-server"), "--port", "0", "--unixsocket", str(socket), "--dir", str(place)]
    process = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        _wait_until(socket.exists)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


class MissingProgramError(Exception):
    """A program is not installed."""


def _program(name: str) -> str:
    found = shutil.which(name) or next((str(p) for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        raise MissingProgramError(f"{name} is not installed")
    return found


def _wait_until(exists: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not exists():
        assert time.monotonic() < until, "the database does not start"
        time.sleep(0.05)
    time.sleep(0.5)  # the socket exists shortly before the database listens on it


RIVALS: Sequence[tuple[str, Callable[[int, float, int, Path], tuple[Load, float]]]] = (
    ("procrastinate on Postgres", measure_procrastinate),
    ("dramatiq on Redis", measure_dramatiq),
)
logging.getLogger("procrastinate").setLevel(logging.ERROR)
