"""Settings of a service by name, among them the mode of the queue."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from cosmos_batch.ledger.database.schema import settings
from cosmos_batch.ledger.database.transactions import Component, Database
from cosmos_batch.ledger.models import Mode
from cosmos_batch.ledger.queue import MODE, effective_mode, own_mode


class SqlSettings(Component):
    """Named settings of a ledger, and the mode of its queue."""

    def __init__(self, database: Database, service: str = "") -> None:
        """`service`: the id of the service of this process; "": it has no mode of its own."""
        super().__init__(database)
        self._service = service

    def mode(self) -> Mode:
        """Return the mode of the queue, as it is for the service of this process."""
        with self._db.read() as connection:
            return Mode(connection.scalar(select(effective_mode(self._service))) or Mode.RUNNING)

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of the queue for all services. Workers follow it at their next step."""
        with self._db.write() as connection:
            connection.execute(delete(settings).where(settings.c.name.startswith(f"{MODE}/")))
            self._set(connection, MODE, mode)

    def set_own_mode(self, mode: Mode) -> None:
        """Set the mode of the queue for the service of this process, until a mode is set for all."""
        self.set(own_mode(self._service), mode)

    def get(self, name: str, default: str = "") -> str:
        """Return the value of a setting."""
        with self._db.read() as connection:
            found = connection.scalar(select(settings.c.value).where(settings.c.name == name))
        return default if found is None else found

    def set(self, name: str, value: str) -> None:
        """Set the value of a setting."""
        with self._db.write() as connection:
            self._set(connection, name, value)

    def _set(self, connection: Connection, name: str, value: str) -> None:
        row = {"name": name, "value": value, "updated": self._db.clock()}
        self._db.dialect.upsert(
            connection, settings, [row], lambda new: {"value": new["value"], "updated": new["updated"]}
        )
