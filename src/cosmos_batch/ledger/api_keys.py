"""API keys by name; only their hashes are stored."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger.database.schema import api_keys
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.service_models import (
    KeyRecord,
)


class SqlApiKeys(Component):
    """API keys, by name; only their hashes are kept."""

    def add(self, name: str, hashed: str) -> None:
        """Keep a key's hash, hex of SHA-256. Raises ConflictError where the name is taken."""
        with self._db.write() as connection:
            if connection.scalar(select(api_keys.c.name).where(api_keys.c.name == name)) is not None:
                raise ConflictError(
                    f"there is a key named {name} already; choose another name, or revoke it first"
                )
            connection.execute(insert(api_keys).values(name=name, hash=hashed, created=self._db.clock()))

    def revoke(self, name: str) -> bool:
        """Refuse a key from now on; False where there is none of that name that is not revoked."""
        query = update(api_keys).where(api_keys.c.name == name, api_keys.c.revoked.is_(None))
        with self._db.write() as connection:
            return connection.execute(query.values(revoked=self._db.clock())).rowcount > 0

    def name_of(self, hashed: str) -> str | None:
        """The name of the key with that hash, if it is not revoked."""
        query = select(api_keys.c.name).where(api_keys.c.hash == hashed, api_keys.c.revoked.is_(None))
        with self._db.read() as connection:
            return connection.scalar(query)

    def all(self) -> list[KeyRecord]:
        """All keys, revoked ones too, oldest first."""
        query = select(api_keys.c.name, api_keys.c.created, api_keys.c.revoked).order_by(
            api_keys.c.created, api_keys.c.name
        )
        with self._db.read() as connection:
            return [KeyRecord(*row) for row in connection.execute(query)]
