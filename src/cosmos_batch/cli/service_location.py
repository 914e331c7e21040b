"""Folder and ledger URL of a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLocation:
    """A service's folder, and the URL of its ledger."""

    home: Path
    ledger: str | None = None  # a database URL; None: a file in the folder

    def open(self) -> Ledger:
        """Open the ledger. Raises InputError for an invalid URL, StorageError and LedgerError."""
        ServiceHome(self.home).make()
        return Ledger(self.url or ServiceHome(self.home).ledger)

    @property
    def url(self) -> URL | None:
        """The ledger's URL; None: a file in the folder. Raises InputError for an invalid URL."""
        try:
            return None if self.ledger is None else make_url(self.ledger)
        except ArgumentError as exc:
            remedy = "give one such as postgresql+psycopg://user@host/name"
            raise InputError([Problem("", None, "--ledger", "", "is no database URL", remedy)]) from exc
