"""Folder and ledger URL of a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger
from cosmos_batch.ledger.database.connection import DATABASES


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLocation:
    """A service's folder, and the URL of its ledger."""

    home: Path
    ledger: str | None = None  # a database URL; None: a file in the folder

    def open(self) -> Ledger:
        """Open the ledger. Raises InputError for an invalid URL, StorageError and LedgerError."""
        home = ServiceHome(self.home)
        home.make()
        return Ledger(home.ledger) if self.url is None else Ledger(self.url, service=home.id)

    def open_known(self) -> Ledger:
        """Open the ledger of a service that there is. Raises InputError where none ran there, and LedgerError."""
        if self.url is None and not ServiceHome(self.home).ledger.is_file():
            raise InputError([Problem("", None, "", str(self.home), "no service ran in it", "name its folder")])
        return self.open()

    @property
    def url(self) -> URL | None:
        """The ledger's URL; None: a file in the folder. Raises InputError for an invalid URL."""
        if self.ledger is None:
            return None
        try:
            url = make_url(self.ledger)
        except ArgumentError as exc:
            raise _bad_url("is no database URL") from exc
        if url.get_backend_name() not in DATABASES:
            raise _bad_url(f"names a database of a kind that holds no ledger, {url.get_backend_name()[:40]!r}")
        return url


def _bad_url(message: str) -> InputError:
    remedy = "give a URL such as postgresql://user@host/name, or leave the option out for a file in HOME"
    return InputError([Problem("", None, "--ledger", "", message, remedy)])
