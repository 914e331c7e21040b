"""What a script's log says: how far it is, and what it died of."""

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
_LAUNCHER_ERROR = "ChildFailedError"  # what torchrun says after the worker has said why
_MEMORY = re.compile(r"OutOfMemoryError\b|CUDA (?:error: )?out of memory|_STATUS_ALLOC_FAILED")
# What Transfer1 says of a wholly blocked tensor batch, and the error of unpacking it, which ends the script
_WHOLLY_BLOCKED = "Guardrail blocked generation for entire batch"
_UNPACKED = "TypeError: cannot unpack non-iterable NoneType object"
_BAR = re.compile(rb"(\d+)/(\d+) \[\d+:\d\d")  # a tqdm bar
_CAUSE_CHARACTERS = 500


class Death(Enum):
    """What ended a script before it was done."""

    MEMORY = auto()  # the GPU's memory did not suffice
    BLOCKED = auto()  # Transfer1's guardrail refused a whole tensor batch
    KILLED = auto()  # a signal, or the connection was lost
    ERROR = auto()  # anything else


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a script died of."""

    death: Death
    cause: str  # in a line


def diagnose(log: Path, status: int) -> Diagnosis:
    """What a script died of that ended with that status, by the last error in its log."""
    if killed(status):
        return Diagnosis(Death.KILLED, f"the script was killed by signal {status - 128}")
    text = _tail(log).decode(errors="replace")
    line = last_error(text)
    cause = f"the script ended with status {status}: {line[:_CAUSE_CHARACTERS]}"
    if _MEMORY.search(line):
        return Diagnosis(Death.MEMORY, line[:_CAUSE_CHARACTERS])
    blocked = line.startswith(_UNPACKED) and _WHOLLY_BLOCKED in text
    return Diagnosis(Death.BLOCKED if blocked else Death.ERROR, cause)


def last_error(text: str) -> str:
    """The last line that names an exception, else the last line; "" where there is none."""
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
    """Reads a growing log for progress bars: over a chunk's steps (Transfer2.5), or over chunks (Transfer1)."""

    def __init__(self, log: Path) -> None:
        """`log` may not exist yet."""
        self._log = log
        self._read = 0
        self._bars: list[tuple[int, int]] = []  # (done, all) since the last reset, without repetitions

    def listen(self) -> bool:
        """Read on; whether anything was said."""
        try:
            with self._log.open("rb") as stream:
                stream.seek(self._read)
                said = stream.read()
        except FileNotFoundError:
            return False
        self._read += len(said)
        for done, of in _BAR.findall(said):
            if self._bars[-1:] != [(int(done), int(of))]:
                self._bars.append((int(done), int(of)))
        return bool(said)

    def reset(self) -> None:
        """Other samples are at work from now on."""
        self._bars.clear()

    def done(self, each: int, chunks: int) -> int:
        """Steps that the bars tell of, where a chunk takes `each`."""
        if not self._bars:
            return 0
        done, of = self._bars[-1]
        if of == each:
            return done + each * self._bars[:-1].count((of, of))
        return each * done if of == chunks else 0
