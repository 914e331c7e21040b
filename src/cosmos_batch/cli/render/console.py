"""Consoles and the printing of problems, for all commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console

from cosmos_batch.cli.render.text import safe, times
from cosmos_batch.errors import Problem

PIPE_WIDTH = 140  # columns where the output is no terminal that says how many it has


def console() -> Console:
    """A console on the standard output that leaves user text alone: no markup, no emoji codes, no highlighting."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


def print_problems(problems: Iterable[Problem]) -> int:
    """Every problem in a line of its own, to the standard error; returns their number."""
    lines = [safe(str(problem)) for problem in problems]
    if lines:
        print("\n".join(lines), file=sys.stderr)
        print(times(len(lines), "problem"), file=sys.stderr)
    return len(lines)


def complain(message: str) -> None:
    """A line to the standard error."""
    print(f"cosmos-batch: {safe(message)}", file=sys.stderr)
