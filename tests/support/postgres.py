"""A Postgres server for the tests of one session, without a disk's guarantees, and a database for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from cosmos_batch.ledger import Ledger

START_SECONDS = 30.0
SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


class PostgresServer:
    """A running server; its databases are copies of one with the schema of the ledger."""

    def __init__(self, folder: Path) -> None:
        """`folder`: that of the socket, by which alone the server can be reached."""
        self._url = URL.create("postgresql+psycopg", "tests", database="postgres", query={"host": str(folder)})
        self._admin = create_engine(self._url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._execute("SELECT 1")
                return
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def make_template(self) -> None:
        """Make the database that others are copies of."""
        self._execute("CREATE DATABASE template_ledger")
        Ledger(self._url.set(database="template_ledger")).close()

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[URL]:
        """Make a database, with the schema of the ledger or empty, and drop it."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name}" + (" TEMPLATE template_ledger" if migrated else ""))
        try:
            yield self._url.set(database=name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Close the connections."""
        self._admin.dispose()

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server in a folder of its own, as a user who is not root, and stop it."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="cb-postgres-"))
    user = _user()
    if user is not None:
        os.chown(folder, *user)
    as_user = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "tests", "--auth=trust", "--no-sync", "--encoding=UTF8"]
    try:
        subprocess.run([*initdb, "--locale=C"], check=True, capture_output=True, cwd=folder, **as_user)
        options = [word for setting in SETTINGS for word in ("-c", setting)]
        command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *options]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_user)
        server = PostgresServer(folder)
        try:
            server.wait()
            server.make_template()
            yield server
        finally:
            server.close()
            process.send_signal(signal.SIGQUIT)
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Find the folder of the server's programs, which Debian keeps out of PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    if versions := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return versions[-1].parent
    pytest.fail("there is no Postgres server: install one (Debian: apt-get install postgresql)")


def _user() -> tuple[int, int] | None:
    """The user and the group of the server, which refuses to run as root; None: those of this process."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        found = pwd.getpwnam("postgres")
        return found.pw_uid, found.pw_gid
    return 65534, 65534
