"""Fixtures and settings for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from cosmos_batch.ledger import Ledger
from cosmos_batch.run import Control, Run, Sampling
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.runs import MakeRun

STORES = ("sqlite", "postgres")

# Before anything imports Triton or PyTorch, here and in processes that tests start
os.environ["TRITON_INTERPRET"] = "1"  # kernels run in the interpreter, on the CPU
os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors take longer with several threads, and tests run side by side


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--store sqlite,postgres`: the databases that tests of the ledger and of dispatch use."""
    parser.addoption("--store", default="sqlite", help="databases of ledgers: sqlite, postgres, or both")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that uses `place` every store of the option."""
    if "store" in metafunc.fixturenames:
        stores = metafunc.config.getoption("--store").split(",")
        if unknown := set(stores) - set(STORES):
            raise pytest.UsageError(f"--store knows {' and '.join(STORES)}, not {', '.join(sorted(unknown))}")
        marks = {"postgres": [pytest.mark.postgres]}
        metafunc.parametrize("store", [pytest.param(store, marks=marks.get(store, ())) for store in stores])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests that need a Postgres server out, unless the option names it."""
    if "postgres" not in config.getoption("--store").split(","):
        left_out = [item for item in items if item.get_closest_marker("postgres")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server, started by the first test that asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger without rows, to be copied: migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    Ledger(path).close()
    return path


@pytest.fixture
def place(store: str, request: pytest.FixtureRequest, tmp_path: Path, empty_ledger: Path) -> Iterator[Path | URL]:
    """The place of a ledger of this test: a file, or with `--store postgres` a database."""
    if store == "sqlite":
        yield Path(shutil.copy(empty_ledger, tmp_path / "ledger.sqlite"))
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def empty_place(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | URL]:
    """The place of a ledger that does not exist yet, or of a database without tables."""
    if store == "sqlite":
        yield tmp_path / "ledger.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database(migrated=False) as url:
        yield url


@pytest.fixture
def make_run() -> MakeRun:
    """Make a run: `make_run("edge", "depth", seed=7)`, its id counting up unless it is given."""
    count = 0

    def make(*names: str, weight: float = 0.5, **fields: object) -> Run:
        nonlocal count
        count += 1
        settings = {name: fields.pop(name) for name in list(fields) if name in Sampling.__slots__}
        controls = tuple(Control(name=name, weight=weight) for name in names)
        given = {"id": f"r{count}", "prompt": f"prompt {count}", "video": "/in/a.mp4", "controls": controls}
        return Run(**(given | fields), sampling=Sampling(**settings))

    return make


@pytest.fixture
def standard(make_run: MakeRun) -> list[Run]:
    """The standard scenario: six runs with edge, three with edge and depth, one with all four controls."""
    all_four = ("edge", "depth", "seg", "vis")
    sets = [("edge",)] * 6 + [("edge", "depth")] * 3 + [all_four]
    return [make_run(*names) for names in sets]
