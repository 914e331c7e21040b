"""Every error that cosmos-batch raises, and the one form in which bad input is reported.

CosmosBatchError
├── InputError          what was asked for is wrong: carries every problem found, not the first alone
├── MediaError          a video cannot be read, made or written
│   └── StorageError    the disk is full, gone, in use, or may not be written: no run's fault
├── PlanError           runs that the chosen engine cannot do
├── LedgerError         the database cannot be used
├── ConflictError       what is asked for contradicts what was asked for before
├── OutputError         a result is missing, damaged, or another run's
└── EngineError         an engine cannot do its work
    ├── ModelError        weights or configuration of a model are missing or do not fit
    ├── EngineLostError   the engine's process is not to be trusted any more; a fresh one is
    ├── OutOfMemoryError  a batch did not fit; a smaller one may
    ├── UnavailableError  what executes it does not start, or is out of reach: no run's fault
    └── MissingExtraError an optional dependency is not installed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in an input, with what would mend it."""

    file: str  # path as the user gave it, or "" for a value that came from no file
    line: int | None  # 1-based line of a JSONL file, None where the whole file is one value
    field: str  # dotted path, for example "execution_config.weights.edge"; "" for the record itself
    found: str  # the offending value, shortened and printable
    message: str  # what is wrong
    remedy: str  # what would do

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part not in ("", None))
        subject = f"{self.field} = {self.found}" if self.field and self.found else self.field or self.found
        head = ": ".join(part for part in (place, subject) if part)
        body = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return f"{head}: {body}" if head else body


class CosmosBatchError(Exception):
    """The root: every message of it is fit for a user to read."""


class InputError(CosmosBatchError):
    """Bad input, with all its problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MediaError(CosmosBatchError):
    """A video or image cannot be read, made or written."""


class StorageError(MediaError):
    """The disk is full, gone, in use, or may not be written: no run's fault, and every run's trouble."""


class PlanError(CosmosBatchError):
    """The chosen engine cannot do what a run asks for."""


class LedgerError(CosmosBatchError):
    """The ledger cannot be opened, read or written."""


class ConflictError(CosmosBatchError):
    """What is asked for contradicts what was asked for before: a key or an id used twice."""


class OutputError(CosmosBatchError):
    """An output is missing, damaged, or belongs to another run."""


class EngineError(CosmosBatchError):
    """An engine cannot do its work."""


class ModelError(EngineError):
    """A model's weights or configuration are missing or do not fit."""


class EngineLostError(EngineError):
    """An engine broke in a way that may have harmed its process; a fresh process is needed."""


class OutOfMemoryError(EngineError):
    """A batch did not fit in memory; a smaller one may."""


class UnavailableError(EngineError):
    """What an engine needs does not start or is out of reach: no run's fault, and every run's trouble."""


class MissingExtraError(EngineError):
    """An optional dependency is needed and not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an extra that is not installed: pip install 'cosmos-batch[{extra}]'")


def explain(exc: BaseException) -> str:
    """An exception as a user reads it: our own messages as they are, others with their type."""
    return str(exc) if isinstance(exc, CosmosBatchError) else f"{type(exc).__name__}: {exc}"
