"""The ledger: runs, the queue, attempts, measurements, and the records that a service keeps beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from cosmos_batch.ledger.attempts import SqlAttempts
from cosmos_batch.ledger.crashes import SqlCrashes
from cosmos_batch.ledger.database.connection import BUSY_SECONDS
from cosmos_batch.ledger.database.transactions import Database
from cosmos_batch.ledger.measurements import SqlMeasurements
from cosmos_batch.ledger.queries import SqlQueries
from cosmos_batch.ledger.queue import SqlQueue
from cosmos_batch.ledger.runs import SqlRuns
from cosmos_batch.ledger.service.api_keys import SqlApiKeys
from cosmos_batch.ledger.service.batch_jobs import SqlBatchJobs
from cosmos_batch.ledger.service.files import SqlFiles
from cosmos_batch.ledger.service.reports import SqlReports
from cosmos_batch.ledger.service.usage import SqlUsage
from cosmos_batch.ledger.settings import SqlSettings
from cosmos_batch.ledger.workers import SqlWorkers


class Ledger:
    """The components of one database.

    Every public method of a component is one transaction and raises LedgerError. No component uses a feature that
    only one database has: `database.dialects` has those.
    """

    def __init__(
        self,
        place: Path | URL,
        clock: Callable[[], float] | None = None,
        busy: float = BUSY_SECONDS,
        service: str = "",
    ) -> None:
        """Open the ledger in a file or at a URL. A missing ledger is created, an old one is migrated.

        `clock`: seconds since 1970; None: the clock of the database's server, in a file that of this machine.
        `busy`: seconds to wait for another process that writes. `service`: the id of the service that this process
        belongs to, where several share the ledger; it may have a mode of its own. Raises LedgerError.
        """
        self.database = Database(place, clock, busy)
        self.service = service
        self.runs = SqlRuns(self.database)
        self.queries = SqlQueries(self.database)
        self.queue = SqlQueue(self.database, service)
        self.attempts = SqlAttempts(self.database)
        self.crashes = SqlCrashes(self.database)
        self.measurements = SqlMeasurements(self.database)
        self.reports = SqlReports(self.database)
        self.workers = SqlWorkers(self.database)
        self.settings = SqlSettings(self.database, service)
        self.batch_jobs = SqlBatchJobs(self.database)
        self.files = SqlFiles(self.database)
        self.api_keys = SqlApiKeys(self.database)
        self.usage = SqlUsage(self.database)

    def now(self) -> float:
        """Return the time by which the ledger's records are made, in seconds since 1970."""
        return self.database.clock()

    def close(self) -> None:
        """Close the database."""
        self.database.close()
