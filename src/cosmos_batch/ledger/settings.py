"""Settings of a service by name, among them the mode of the queue."""

from __future__ import annotations

from sqlalchemy import select

from cosmos_batch.ledger.database.schema import settings
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.models import Mode
from cosmos_batch.ledger.queue import MODE


class SqlSettings(Component):
    """Named settings of a service."""

    def mode(self) -> Mode:
        """Return the mode of the queue."""
        return Mode(self.get(MODE, Mode.RUNNING))

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of the queue. Workers follow it at their next step."""
        self.set(MODE, mode)

    def get(self, name: str, default: str = "") -> str:
        """Return the value of a setting."""
        with self._db.read() as connection:
            found = connection.scalar(select(settings.c.value).where(settings.c.name == name))
        return default if found is None else found

    def set(self, name: str, value: str) -> None:
        """Set the value of a setting."""
        row = {"name": name, "value": value, "updated": self._db.clock()}
        with self._db.write() as connection:
            self._db.dialect.upsert(
                connection, settings, [row], lambda new: {"value": new["value"], "updated": new["updated"]}
            )
