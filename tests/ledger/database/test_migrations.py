"""Migrations of the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade, upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, inspect, text

from cosmos_batch.ledger import BatchJobState, Ledger
from cosmos_batch.ledger.database.connection import HEAD, MIGRATIONS, sqlite_url
from cosmos_batch.ledger.database.schema import metadata
from cosmos_batch.run import Run, as_dict
from tests.support.runs import resolved

_REVISION = re.compile(r'^(revision|down_revision) = "?(\w+)"?$', re.M)
RUN = json.dumps(as_dict(resolved(Run(id="a", prompt="p", controls=(), video="/a.mp4"))))


@contextmanager
def connected(place: Path | URL) -> Iterator[tuple[Connection, Config]]:
    """A transaction on a database, and the migrations for it."""
    engine = create_engine(sqlite_url(place) if isinstance(place, Path) else place)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        yield connection, config
    engine.dispose()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index ix_runs_lower_id")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_migrations_create_the_tables_of_the_schema(empty_place: Path | URL) -> None:
    Ledger(empty_place).close()

    with connected(empty_place) as (connection, _config):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_search_for_ids_without_case_uses_an_index(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").close()

    with connected(tmp_path / "ledger.sqlite") as (connection, _config):
        plan = connection.execute(text("EXPLAIN QUERY PLAN SELECT id FROM runs WHERE lower(runs.id) IN ('a')"))
        assert "USING INDEX ix_runs_lower_id" in plan.one().detail


def test_head_is_the_latest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_first_version_is_migrated_with_its_rows(empty_place: Path | URL) -> None:
    columns = "id, fingerprint, request, state, priority, cause, failures, created, updated"
    with connected(empty_place) as (connection, config):
        upgrade(config, "0001")
        values = {"request": RUN}
        connection.execute(
            text(f"INSERT INTO runs ({columns}) VALUES ('a', 'f', :request, 'queued', 7, '', 0, 1, 1)"), values
        )
        connection.execute(
            text("INSERT INTO events (run, state, reason, at) VALUES ('a', 'queued', 'submitted', 1)")
        )

    ledger = Ledger(empty_place)

    (record,) = ledger.queries.waiting()
    assert (record.run.prompt, record.priority, record.facts, record.warnings) == ("p", 7, {}, ())
    assert [change.reason for change in ledger.queries.history("a")] == ["submitted"]
    ledger.close()


ROWS_OF_0002 = (
    "INSERT INTO controls (name, value, updated) VALUES ('mode', 'paused', 1)",
    "INSERT INTO tallies (name, label, value) VALUES ('steps', '', 3)",
    "INSERT INTO keys (name, hash, created) VALUES ('alice', 'ab', 1)",
    "INSERT INTO limits (id, engine, device, width, height, frames, runs, at)"
    " VALUES (1, 'e', 'd', 64, 32, 9, 4, 1)",
    "INSERT INTO workers (id, engine, device, state, trouble, outlook, started, seen)"
    " VALUES ('w', 'e', 'd', 'idle', '', '{}', 1, 2)",
    'INSERT INTO orders (id, input_file, endpoint, "window", state, details, owner, errors, output_file,'
    " error_file, total, created)"
    " VALUES ('b', 'f', '/v1/videos', '24h', 'validating', '{}', '', '[]', '', '', 1, 1)",
)


def test_second_version_is_migrated_with_its_rows_and_back(empty_place: Path | URL) -> None:
    with connected(empty_place) as (connection, config):
        upgrade(config, "0002")
        for statement in ROWS_OF_0002:
            connection.exec_driver_sql(statement)

    ledger = Ledger(empty_place)
    assert ledger.settings.mode() == "paused"
    assert ledger.measurements.counters() == {("steps", ""): 3.0}
    assert ledger.api_keys.name_of("ab") == "alice"
    assert list(ledger.measurements.limits("e", "d").values()) == [4]
    assert [(worker.id, worker.heartbeat) for worker in ledger.workers.all()] == [("w", 2.0)]
    assert [(job.id, job.state) for job in ledger.batch_jobs.page()] == [("b", BatchJobState.VALIDATING)]
    ledger.close()

    with connected(empty_place) as (connection, config):
        downgrade(config, "0002")
        assert "orders" in inspect(connection).get_table_names()
        assert connection.scalar(text("SELECT value FROM controls")) == "paused"
        assert connection.scalar(text("SELECT name FROM keys")) == "alice"


def test_migrations_are_one_chain_that_ends_at_the_latest() -> None:
    versions = sorted((MIGRATIONS / "versions").glob("r*.py"))
    stated = [dict(_REVISION.findall(file.read_text())) for file in versions]
    numbers = [f"{number:04}" for number in range(1, len(versions) + 1)]

    assert [file.name[1:5] for file in versions] == numbers
    assert [one["revision"] for one in stated] == numbers
    assert [one["down_revision"] for one in stated] == ["None", *numbers[:-1]]
    assert numbers[-1] == HEAD
