"""Options that several commands share: memory, GPUs and approximations of the engine, selections, tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cosmos_batch.cli.completion import completing
from cosmos_batch.engines.inprocess.options import Approximation, Options, Part
from cosmos_batch.engines.registry import ENGINES, InProcessSpec, ScriptSpec
from cosmos_batch.formats.sweep.overrides import OVERRIDABLE

SCRIPT_ENGINES = tuple(name for name, spec in ENGINES.items() if isinstance(spec, ScriptSpec))
IN_PROCESS_ENGINES = tuple(name for name, spec in ENGINES.items() if isinstance(spec, InProcessSpec))

Offload = Annotated[
    list[Part] | None,
    typer.Option("--offload", help="Keep a part in host memory while it is not used; may be repeated."),
]
Approximate = Annotated[
    list[Approximation] | None,
    typer.Option("--approximate", help="Save time or memory with inexact results; may be repeated."),
]
SplitGuidance = Annotated[
    bool, typer.Option("--split-guidance", help="Use two GPUs for each batch: one for each pass of guidance.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting in place of that of every run; may be repeated.",
        autocompletion=completing(f"{name}=" for name in OVERRIDABLE),
    ),
]
Scorers = Annotated[
    list[str] | None,
    typer.Option(
        "--score", metavar="NAME,...", help="More scores of every video: depth, seg, or a scorer of yours."
    ),
]
Sweep = Annotated[str, typer.Option("--sweep", metavar="NAME", help="Runs of this sweep.")]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME:VALUE", help="Runs with this tag; may be repeated.")
]


def options_of(
    offload: Iterable[Part] | None, approximate: Iterable[Approximation] | None, split_guidance: bool
) -> Options:
    """The engine options of these command line options."""
    return Options(frozenset(offload or ()), frozenset(approximate or ()), split_guidance)


Manifest = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", help="Write a table of the runs: FILE.csv or FILE.parquet."),
]
