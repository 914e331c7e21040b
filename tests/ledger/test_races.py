"""Four processes on one Postgres server: first start, claims, counters, idempotency, the feed of changes."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import TypeVar

import pytest
from sqlalchemy import URL

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger import Ledger, Submission
from tests.support.ledger import FACTS, make_run
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.races
PROCESSES = 4
T = TypeVar("T")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests."""
    with postgres_server() as made:
        yield made


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that begin with nothing of this one."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as made:
        list(made.map(_ready, range(PROCESSES)))
        yield made


@pytest.fixture
def url(server: PostgresServer) -> Iterator[URL]:
    """A database with the schema of the ledger."""
    with server.database() as made:
        yield made


def together(pool: ProcessPoolExecutor, work: Callable[[URL, int, float], T], url: URL) -> list[T]:
    """Let every process work from the same moment on."""
    begin = time.time() + 0.3
    return [each.result() for each in [pool.submit(work, url, number, begin) for number in range(PROCESSES)]]


def _ready(_number: int) -> None:
    time.sleep(0.5)  # so that each process gets one


def _wait(begin: float) -> None:
    time.sleep(max(0.0, begin - time.time()))


def _open(url: URL, _number: int, begin: float) -> int:
    _wait(begin)
    ledger = Ledger(url)
    ledger.settings.set("started", "yes")
    runs = ledger.queries.count()
    ledger.close()
    return runs


def test_all_may_start_first(pool: ProcessPoolExecutor, server: PostgresServer) -> None:
    with server.database(migrated=False) as url:
        assert together(pool, _open, url) == [0] * PROCESSES


def _claim(url: URL, number: int, begin: float) -> list[str]:
    ledger = Ledger(url)
    ids = [f"r{index}" for index in range(200)]
    random.Random(number).shuffle(ids)
    _wait(begin)
    claims = [ledger.queue.claim(ids[start : start + 8], FACTS, f"w{number}", 60) for start in range(0, 200, 4)]
    ledger.close()
    return [run for each in claims if each for run in each.attempts]


def test_run_is_claimed_by_one(pool: ProcessPoolExecutor, url: URL) -> None:
    ledger = Ledger(url)
    ledger.runs.submit([make_run(f"r{index}") for index in range(200)])

    claimed = list(chain.from_iterable(together(pool, _claim, url)))

    assert len(claimed) == len(set(claimed)) == 200
    assert len(ledger.attempts.open_attempts()) == 200
    ledger.close()


def _count(url: URL, number: int, begin: float) -> None:
    ledger = Ledger(url)
    names = [(f"counter{index}", "") for index in range(8)]
    draws = random.Random(number)
    _wait(begin)
    for _ in range(100):
        draws.shuffle(names)
        ledger.measurements.add_counters(dict.fromkeys(names, 1.0))
    ledger.close()


def test_no_count_is_lost(pool: ProcessPoolExecutor, url: URL) -> None:
    together(pool, _count, url)

    ledger = Ledger(url)
    assert ledger.measurements.counters() == {(f"counter{index}", ""): 400.0 for index in range(8)}
    ledger.close()


def _submit(url: URL, number: int, begin: float) -> list[str]:
    ledger = Ledger(url)
    keys = [f"key{index}" for index in range(60)]
    random.Random(number).shuffle(keys)
    _wait(begin)
    runs = {}
    for start in range(0, len(keys), 3):
        wanted = [
            Submission(make_run(f"{key}-of-{number}"), key=key, digest="same") for key in keys[start : start + 3]
        ]
        for submission, result in zip(wanted, ledger.runs.accept(wanted), strict=True):
            runs[submission.key] = result.run
    ledger.close()
    return [runs[key] for key in sorted(runs)]


def test_key_stands_for_one_run(pool: ProcessPoolExecutor, url: URL) -> None:
    answers = together(pool, _submit, url)

    ledger = Ledger(url)
    assert answers == [answers[0]] * PROCESSES
    assert ledger.queries.count() == 60
    ledger.close()


def _take(url: URL, number: int, begin: float) -> int:
    """Submit runs whose ids differ by case alone from those of the others, and keys of one name."""
    ledger = Ledger(url)
    _wait(begin)
    taken = 0
    for index in range(20):
        id_ = f"run-{index}"
        given = id_.upper() if number % 2 else id_
        try:
            ledger.runs.accept([Submission(make_run(given))])
            taken += 1
        except ConflictError:
            pass
        try:
            ledger.api_keys.add(f"key{index}", f"{index}-{number}")
            taken += 1
        except ConflictError:
            pass
    ledger.close()
    return taken


def test_name_is_given_once(pool: ProcessPoolExecutor, url: URL) -> None:
    assert sum(together(pool, _take, url)) == 20 + 20


def _change(url: URL, number: int, begin: float) -> list[tuple[str, str]]:
    """Change runs and follow all changes meanwhile; returns what was seen."""
    ledger = Ledger(url)
    ids = [f"r{index}" for index in range(30)]
    draws = random.Random(number)
    seen: list[tuple[str, str]] = []
    after = ledger.queries.latest_change()
    _wait(begin)
    for index in range(60):
        ledger.runs.reprioritise(draws.sample(ids, draws.randint(1, 12)), 100 * number + index)
        found = ledger.queries.changes(after, limit=50)
        after = found[-1].id if found else after
        seen += [(change.run, change.reason) for change in found]
    ledger.settings.set(f"done{number}", "yes")
    wait_until(lambda: all(ledger.settings.get(f"done{other}") for other in range(PROCESSES)))
    while found := ledger.queries.changes(after, limit=50):
        after = found[-1].id
        seen += [(change.run, change.reason) for change in found]
    ledger.close()
    return seen


def test_every_change_is_seen_once_by_all(pool: ProcessPoolExecutor, url: URL) -> None:
    ledger = Ledger(url)
    ledger.runs.submit([make_run(f"r{index}") for index in range(30)])

    seen = together(pool, _change, url)

    stored = [(change.run, change.reason) for change in ledger.queries.changes(0, limit=100_000)][30:]
    assert len(stored) > 1000
    assert seen == [stored] * PROCESSES
    ledger.close()
