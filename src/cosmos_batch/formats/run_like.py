"""The argument type of the public functions: runs, or dicts that become runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cosmos_batch.formats import run_from_dict
from cosmos_batch.run import Run

RunLike = Run | Mapping[str, Any]
"""A run, or a native run dict; a dict is validated when it is used."""


def as_run(given: RunLike) -> Run:
    """The run itself, or the run that a native dict describes. Raises InputError for a dict that is no run."""
    return given if isinstance(given, Run) else run_from_dict(dict(given))


def as_runs(given: Sequence[RunLike]) -> list[Run]:
    """Runs, each given as one or as a dict."""
    return [as_run(each) for each in given]
