"""Completion of the values of options by the shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cosmos_batch.engines.inprocess.families import FAMILIES
from cosmos_batch.engines.registry import ENGINES


def completing(values: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that gives those of the values that begin as what was typed."""
    known = tuple(values)

    def complete(incomplete: str) -> list[str]:
        return [value for value in known if value.startswith(incomplete)]

    return complete


complete_engine = completing(ENGINES)
complete_model = completing(model.hub_id for family in FAMILIES for model in family.models)
