"""Records of files that clients uploaded or that the service wrote for them."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select

from cosmos_batch.ledger.database.schema import files
from cosmos_batch.ledger.database.transactions import Component, created_after
from cosmos_batch.ledger.service_models import (
    FileRecord,
)


class SqlFiles(Component):
    """Files that clients gave, or that were made for them."""

    def add(self, file: FileRecord) -> None:
        """Keep a new file's record; its contents lie at its path."""
        with self._db.write() as connection:
            connection.execute(insert(files).values(asdict(file) | {"facts": asdict(file)["facts"] or {}}))

    def get(self, file_id: str) -> FileRecord | None:
        """One file's record; None if there is no such."""
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
        """Files by the time at which they came, beginning with the one after that id."""
        way = (files.c.created.desc(), files.c.id.desc()) if newest_first else (files.c.created, files.c.id)
        query = select(files).order_by(*way).limit(limit)
        if purpose:
            query = query.where(files.c.purpose == purpose)
        if owner:
            query = query.where(files.c.owner == owner)
        if after:
            query = query.where(created_after(files, after, newest_first))
        with self._db.read() as connection:
            return [FileRecord.from_row(row) for row in connection.execute(query).mappings()]

    def delete(self, file_id: str) -> FileRecord | None:
        """Forget a file; its last record, None if there was no such. What lies at its path is left alone."""
        with self._db.write() as connection:
            query = delete(files).where(files.c.id == file_id).returning(files)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else FileRecord.from_row(row)
