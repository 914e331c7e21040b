"""The error tree of cosmos-batch, and the record of a problem or warning about an input.

CosmosBatchError
├── InputError          bad input: carries every problem found, not the first alone
├── MediaError          a video cannot be read, made or written
│   └── StorageError    the disk is full, missing, in use or read-only: not caused by a run
├── PlanError           runs that the chosen engine does not support
├── LedgerError         the database cannot be used
│   └── RowError          a value cannot be stored: other rows can
├── ConflictError       a request that contradicts an earlier one
├── OutputError         a result is missing, damaged, or another run's
└── EngineError         an engine failed
    ├── ModelError        weights or configuration of a model are missing or do not fit
    ├── EngineLostError   the engine's process may be damaged; a new process is needed
    ├── OutOfMemoryError  a batch did not fit; a smaller one may
    ├── UnavailableError  a resource of the engine does not start or is unreachable: not caused by a run
    └── MissingExtraError an optional dependency is not installed
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input, with its remedy; or a warning about an input that is taken."""

    file: str  # path as the user gave it, or "" for a value that came from no file
    line: int | None  # 1-based line of a JSONL file, None where the whole file is one value
    field: str  # dotted path, for example "execution_config.weights.edge"; "" for the record itself
    found: str  # the offending value, shortened and printable
    message: str  # what is wrong
    remedy: str  # how to correct it
    level: Literal["problem", "warning"] = "problem"  # "warning": the input is used all the same

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part not in ("", None))
        subject = f"{self.field} = {self.found}" if self.field and self.found else self.field or self.found
        head = ": ".join(part for part in (place, subject) if part)
        body = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return f"{head}: {body}" if head else body


class CosmosBatchError(Exception):
    """Root of the tree: every message is written for users."""


class InputError(CosmosBatchError):
    """Bad input, with all its problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MediaError(CosmosBatchError):
    """A video or image cannot be read, made or written."""


class StorageError(MediaError):
    """The disk is full, missing, in use or read-only: not caused by a run, and it affects all runs."""


class PlanError(CosmosBatchError):
    """The chosen engine does not support a setting of a run."""


class LedgerError(CosmosBatchError):
    """The ledger cannot be opened, read or written."""


class RowError(LedgerError):
    """A value of one row cannot be stored in the ledger: other rows can."""


class ConflictError(CosmosBatchError):
    """A request contradicts an earlier one: a key or an id is used twice."""


class OutputError(CosmosBatchError):
    """An output is missing, damaged, or belongs to another run."""


class EngineError(CosmosBatchError):
    """An engine failed."""


class ModelError(EngineError):
    """A model's weights or configuration are missing or do not fit."""


class EngineLostError(EngineError):
    """An engine failed in a way that may have damaged its process; a new process is needed."""


class OutOfMemoryError(EngineError):
    """A batch did not fit in memory; a smaller one may."""


class UnavailableError(EngineError):
    """A resource of an engine does not start or is unreachable: not caused by a run, and it affects all runs."""


class MissingExtraError(EngineError):
    """An optional dependency is needed and not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an extra that is not installed: pip install 'cosmos-batch[{extra}]'")


_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def kind_of_cause(cause: str, run_id: str) -> str:
    """A cause without the run's id and without numbers, which differ from run to run: times, bytes, attempts."""
    without_id = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(run_id)}(?![A-Za-z0-9_])", "RUN", cause)
    return _NUMBERS.sub("0", without_id)


def explain(exc: BaseException) -> str:
    """The message of an exception for users: that of our own errors unchanged, others with their type."""
    return str(exc) if isinstance(exc, CosmosBatchError) else f"{type(exc).__name__}: {exc}"
