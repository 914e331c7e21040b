"""The files of runs on a server: named in place where it can read them, else uploaded once."""

from __future__ import annotations

import os
from functools import cache
from http import HTTPStatus
from pathlib import Path

from cosmos_batch.client.connection import Connection, ServerError


class UploadedFiles:
    """Names of local files on a server."""

    def __init__(self, connection: Connection, in_place: bool | None) -> None:
        """`in_place`: whether the server reads files at the same paths; None: those that it has, of equal size."""
        self._connection = connection
        self._in_place = in_place
        self._names: dict[str, str] = {}
        self._sizes = cache(self._list)

    def name(self, path: str) -> str:
        """The name of a file on the server. Raises ServerError, also where it cannot be read."""
        if path not in self._names:
            real = os.path.realpath(path)
            named = self._is_there(Path(real)) if self._in_place is None else self._in_place
            self._names[path] = real if named else self._connection.upload(Path(path))
        return self._names[path]

    def _is_there(self, path: Path) -> bool:
        """Whether the server lists a file of this path and size in a folder that requests may name."""
        if not any(path.is_relative_to(root) for root in self._sizes("")):
            return False
        try:
            return self._sizes(str(path.parent)).get(str(path)) == path.stat().st_size
        except OSError:
            return False

    def _list(self, folder: str) -> dict[str, int]:
        """Bytes of the entries of a folder on the server, by path; none where it lists no such folder."""
        try:
            found = self._connection.get("/v1/roots", path=folder)
        except ServerError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            return {}
        return {entry["path"]: entry["bytes"] for entry in found["data"]}
