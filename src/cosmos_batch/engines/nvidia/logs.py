"""Reads a script's log: denoising steps done, and the cause of its exit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from cosmos_batch.engines.nvidia.launchers.base import killed

_TAIL_BYTES = 64 * 1024
_RANK = r"(?:\[rank\d+\]:\s*)?"  # torchrun's workers begin their lines so
_ERROR = re.compile(rf"^{_RANK}(?P<line>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*)$")
_LAUNCHER_ERROR = "ChildFailedError"  # torchrun's own error, after the one of its worker
_MEMORY = re.compile(r"OutOfMemoryError\b|CUDA (?:error: )?out of memory|_STATUS_ALLOC_FAILED")
# Transfer1's message on a tensor batch that is blocked as a whole, and the error with which it then exits
_WHOLLY_BLOCKED = "Guardrail blocked generation for entire batch"
_UNPACKED = "TypeError: cannot unpack non-iterable NoneType object"
_BAR = re.compile(rb"(\d+)/(\d+) \[\d+:\d\d")  # a tqdm bar
_CAUSE_CHARACTERS = 500


class ExitCause(Enum):
    """Why a script ended early."""

    MEMORY = auto()  # out of GPU memory
    BLOCKED = auto()  # Transfer1's guardrail refused a whole tensor batch
    KILLED = auto()  # a signal, or the connection was lost
    ERROR = auto()  # anything else


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Cause and message of a script's early exit."""

    cause: ExitCause
    message: str  # one line


def diagnose(log: Path, status: int) -> Diagnosis:
    """Diagnose a script that ended with this status, by the last error in its log."""
    if killed(status):
        return Diagnosis(ExitCause.KILLED, f"the script was killed by signal {status - 128}")
    text = _tail(log).decode(errors="replace")
    line = last_error(text)
    cause = f"the script ended with status {status}: {line[:_CAUSE_CHARACTERS]}"
    if _MEMORY.search(line):
        return Diagnosis(ExitCause.MEMORY, line[:_CAUSE_CHARACTERS])
    blocked = line.startswith(_UNPACKED) and _WHOLLY_BLOCKED in text
    return Diagnosis(ExitCause.BLOCKED if blocked else ExitCause.ERROR, cause)


def last_error(text: str) -> str:
    """The last line that names an exception, else the last line of the log."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    found = (_ERROR.match(line) for line in reversed(lines))
    errors = (match["line"] for match in found if match and _LAUNCHER_ERROR not in match["line"])
    return next(errors, lines[-1] if lines else "it said nothing")


def _tail(log: Path) -> bytes:
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            return stream.read()
    except FileNotFoundError:
        return b""


class StepCounter:
    """Counts denoising steps by the progress bars of a growing log.

    Bars run over the steps of a chunk (Transfer2.5), or over chunks (Transfer1).
    """

    def __init__(self, log: Path) -> None:
        """`log` may not exist yet."""
        self._log = log
        self._read = 0
        self._bars: list[tuple[int, int]] = []  # (done, all) since the last reset, without repetitions

    def read(self) -> bool:
        """Read the new part of the log. Returns whether there was one."""
        try:
            with self._log.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
        except FileNotFoundError:
            return False
        self._read += len(new)
        for done, of in _BAR.findall(new):
            if self._bars[-1:] != [(int(done), int(of))]:
                self._bars.append((int(done), int(of)))
        return bool(new)

    def reset(self) -> None:
        """Start counting for the next samples."""
        self._bars.clear()

    def steps_done(self, each: int, chunks: int) -> int:
        """Steps done according to the bars. `each`: steps of a chunk; `chunks`: chunks of the sample."""
        if not self._bars:
            return 0
        done, of = self._bars[-1]
        if of == each:
            return done + each * self._bars[:-1].count((of, of))
        return each * done if of == chunks else 0
