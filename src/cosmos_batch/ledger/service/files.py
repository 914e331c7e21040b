"""Records of files that clients uploaded or that the service wrote for them."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, select

from cosmos_batch.ledger.database.schema import files
from cosmos_batch.ledger.database.transactions import Component, created_after
from cosmos_batch.ledger.service_models import (
    FileRecord,
)


class SqlFiles(Component):
    """Records of files."""

    def add(self, file: FileRecord) -> bool:
        """Store the record of a new file. Returns False, with no change, if there is one with its id."""
        row = asdict(file) | {"facts": asdict(file)["facts"] or {}}
        with self._db.write() as connection:
            return self._db.dialect.insert_new(connection, files, row)

    def get(self, file_id: str) -> FileRecord | None:
        """Return the record of a file; None for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(files).where(files.c.id == file_id)).mappings().one_or_none()
        return None if row is None else FileRecord.from_row(row)

    def page(
        self,
        *,
        purpose: str = "",
        owner: str = "",
        after: str = "",
        limit: int = 20,
        newest_first: bool = True,
    ) -> list[FileRecord]:
        """Return up to `limit` files by the time of their creation, from the file after the id `after`."""
        order = (files.c.created.desc(), files.c.id.desc()) if newest_first else (files.c.created, files.c.id)
        query = select(files).order_by(*order).limit(limit)
        if purpose:
            query = query.where(files.c.purpose == purpose)
        if owner:
            query = query.where(files.c.owner == owner)
        if after:
            query = query.where(created_after(files, after, newest_first))
        with self._db.read() as connection:
            return [FileRecord.from_row(row) for row in connection.execute(query).mappings()]

    def delete(self, file_id: str) -> FileRecord | None:
        """Delete the record of a file and return it; None for an unknown id. The file on disk stays."""
        with self._db.write() as connection:
            query = delete(files).where(files.c.id == file_id).returning(files)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else FileRecord.from_row(row)
