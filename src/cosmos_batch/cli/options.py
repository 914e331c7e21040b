"""Options that several commands share: how the engine is to run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from cosmos_batch.engines.inprocess.options import Approximation, Options, Part

Offload = Annotated[
    list[Part] | None,
    typer.Option("--offload", help="Keep a part in the machine's memory while it is not needed; may be repeated."),
]
Approximate = Annotated[
    list[Approximation] | None,
    typer.Option("--approximate", help="Be faster or smaller, and not exact; may be repeated. Records name it."),
]
SplitGuidance = Annotated[
    bool, typer.Option("--split-guidance", help="Use two GPUs for each batch: one for each pass of guidance.")
]


def options_of(
    offload: Iterable[Part] | None, approximate: Iterable[Approximation] | None, split_guidance: bool
) -> Options:
    """What was asked for."""
    return Options(frozenset(offload or ()), frozenset(approximate or ()), split_guidance)
