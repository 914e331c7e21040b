"""Scorers that are asked for: of other packages, and models. Each has a process of its own, and a time limit."""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.media.controls.estimation import EXTRA, lacking_extra
from cosmos_batch.run import Run, as_dict
from cosmos_batch.score_names import ESTIMATED, own_scorers

START_SECONDS = 120.0
"""Time limit for the start of a scorer, in which it loads its models."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DIGITS = 4


class ScorerError(Exception):
    """A scorer gave no score, with the reason."""


class _ScorerProcess:
    """The process of one scorer, started when it is first asked, and again after it was ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._seconds = 0.0
        self._read = b""

    def score(self, video: Path, run: Run) -> Mapping[str, float]:
        """The scores of a video, by name. Raises ScorerError."""
        process = self._started()
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which the missing answer says
            process.stdin.write(json.dumps({"video": str(video), "run": as_dict(run)}).encode() + b"\n")
            process.stdin.flush()
        answer = self._answer(process, self._seconds)
        if "error" in answer:
            raise ScorerError(str(answer["error"]))
        return named_scores(self._name, answer.get("scores"))

    def end(self) -> None:
        """End the process, with what it has started."""
        if (process := self._process) is None:
            return
        self._process, self._read = None, b""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        command = [sys.executable, "-m", "cosmos_batch.scoring.scorer_process", self._name]
        paths = os.pathsep.join(path for path in sys.path if path)
        process = self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )
        answer = self._answer(process, START_SECONDS)
        if "error" in answer:
            self.end()
            raise ScorerError(f"cannot start: {answer['error']}")
        self._seconds = float(str(answer.get("seconds", START_SECONDS)))
        return process

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> Mapping[str, object]:
        """The next line of the process. Ends it where none comes in time. Raises ScorerError."""
        assert process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._read:
            left = until - time.monotonic()
            ready = select.select([process.stdout], [], [], left)[0] if left > 0 else []
            more = os.read(process.stdout.fileno(), 65_536) if ready else b""
            if not more:
                self.end()
                raise ScorerError("has ended without an answer" if ready else f"took longer than {seconds:g} s")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}


class Scorers:
    """The scorers of one command or worker. Any thread may use it, under its lock."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: dict[str, _ScorerProcess] = {}

    def measure(self, names: Iterable[str], video: Path, run: Run) -> tuple[Mapping[str, float], tuple[str, ...]]:
        """The scores that these scorers give a video, and a warning for each that gives none."""
        scores: dict[str, float] = {}
        warnings = []
        with self._lock:
            for name in names:
                process = self._processes.setdefault(name, _ScorerProcess(name))
                try:
                    scores |= process.score(video, run)
                except (ScorerError, OSError, ValueError) as exc:
                    warnings.append(f"the scorer {name} gives no score: {exc}")
        return scores, tuple(warnings)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for process in self._processes.values():
                process.end()


def named_scores(scorer: str, given: object) -> dict[str, float]:
    """The scores of a scorer's answer by name: its own for a number, else its own with each name behind it.

    Raises ScorerError for an answer that is neither a number nor an object of numbers.
    """
    values = given if isinstance(given, Mapping) else {"": given}
    scores: dict[str, float] = {}
    for key, value in values.items():
        estimated = scorer in ESTIMATED and key == ESTIMATED[scorer][0]
        name = str(key) if estimated else f"{scorer}_{key}" if key else scorer
        if not _NAME.fullmatch(name):
            raise ScorerError(f"{name[:80]!r} is no name of a score; use a-z, 0-9 and _")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ScorerError(f"{name} is {str(value)[:80]}, and no number")
        scores[name] = round(float(value), _DIGITS)
    return scores


def chosen_scorers(texts: Sequence[str]) -> tuple[str, ...]:
    """The scorers of `--score depth,judge`. Raises InputError for unknown ones and a missing extra."""
    names = tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
    known = (*ESTIMATED, *own_scorers())
    problems = [
        Problem("--score", None, "", name, "is not a known scorer", f"name one of {', '.join(known)}")
        for name in names
        if name not in known
    ]
    if lacking_extra():
        remedy = f"install it: pip install 'cosmos-batch[{EXTRA}]'"
        problems += [
            Problem("--score", None, "", name, f"needs the extra {EXTRA!r}", remedy)
            for name in names
            if name in ESTIMATED
        ]
    if problems:
        raise InputError(problems)
    return names
