"""Which runs of a server a request is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class RunSelection:
    """Runs of a server: by id, or by sweep and tags; without either, all of the states that a command is about."""

    ids: Sequence[str] = ()
    sweep: str = ""
    tags: Sequence[str] = ()  # NAME:VALUE

    @classmethod
    def of(cls, ids: Sequence[str], sweep: str, tags: Mapping[str, str]) -> RunSelection:
        """Make a selection. Raises InputError where ids stand beside a sweep or tags."""
        chosen = cls(ids, sweep, [f"{name}:{value}" for name, value in tags.items()])
        if ids and chosen.query:
            message, remedy = "are given beside a sweep or tags", "name runs by their ids, or by sweep and tags"
            raise InputError([Problem("", None, "ids", ", ".join(ids)[:60], message, remedy)])
        return chosen

    @property
    def query(self) -> dict[str, str | Sequence[str]]:
        """The query of the API that gives the runs of the sweep with the tags."""
        sweep: dict[str, str | Sequence[str]] = {"sweep": self.sweep} if self.sweep else {}
        return sweep | ({"tag": self.tags} if self.tags else {})
