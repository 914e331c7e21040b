"""API keys: names, and hashes in place of the keys."""

from __future__ import annotations

from sqlalchemy import select, update

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger.database.schema import api_keys
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.service_models import (
    KeyRecord,
)


class SqlApiKeys(Component):
    """Records of API keys."""

    def add(self, name: str, hashed: str, tenant: str = "") -> None:
        """Store the hash of a key, hex of SHA-256, and who pays for its runs.

        Raises ConflictError if the name is taken.
        """
        with self._db.write() as connection:
            row = {"name": name, "hash": hashed, "tenant": tenant, "created": self._db.clock()}
            if not self._db.dialect.insert_new(connection, api_keys, row):
                raise ConflictError(f"there is a key named {name} already; choose another: a name is used once")

    def revoke(self, name: str) -> bool:
        """Revoke a key. Returns False if no valid key has that name."""
        query = update(api_keys).where(api_keys.c.name == name, api_keys.c.revoked.is_(None))
        with self._db.write() as connection:
            return connection.execute(query.values(revoked=self._db.clock())).rowcount > 0

    def name_of(self, hashed: str) -> str | None:
        """Return the name of the valid key with that hash; None without one."""
        query = select(api_keys.c.name).where(api_keys.c.hash == hashed, api_keys.c.revoked.is_(None))
        with self._db.read() as connection:
            return connection.scalar(query)

    def all(self) -> list[KeyRecord]:
        """Return all keys, revoked keys too, oldest first."""
        columns = (api_keys.c.name, api_keys.c.created, api_keys.c.revoked, api_keys.c.tenant)
        query = select(*columns).order_by(api_keys.c.created, api_keys.c.name)
        with self._db.read() as connection:
            return [KeyRecord(*row) for row in connection.execute(query)]
