"""Consoles and the printing of problems, for all commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console

from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.errors import Problem

PIPE_WIDTH = 140  # columns where the output is no terminal


def console() -> Console:
    """A console on the standard output that prints text unchanged: no markup, emoji codes or highlighting."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


def print_problems(problems: Iterable[Problem]) -> int:
    """Print every problem in a line to the standard error; returns their number."""
    lines = [safe(str(problem)) for problem in problems]
    if lines:
        print("\n".join(lines), file=sys.stderr)
        print(plural(len(lines), "problem"), file=sys.stderr)
    return len(lines)


def print_warnings(warnings: Sequence[Problem], limit: int | None = None) -> int:
    """Print the first `limit` warnings (None: all) in a line each to the standard error; returns their number."""
    lines = [f"warning: {safe(str(warning))}" for warning in warnings[:limit]]
    if len(lines) < len(warnings):
        lines.append(f"and {len(warnings) - len(lines):,} more warnings; cosmos-batch check prints all of them")
    if lines:
        print("\n".join(lines), file=sys.stderr)
    return len(warnings)


def print_error(message: str) -> None:
    """Print a line to the standard error."""
    print(f"cosmos-batch: {safe(message)}", file=sys.stderr)
