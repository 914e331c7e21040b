"""`python -m cosmos_batch.scoring.scorer_process NAME`: a scorer in a process of its own.

The first line of its output says that it is ready, or why it is not. Then each line of standard input is a video
and its run, and each line of output its scores, all as JSON. What a scorer prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cosmos_batch.errors import explain
from cosmos_batch.run import Run
from cosmos_batch.score_names import ESTIMATED, own_scorers

SECONDS = 120.0
"""Time limit of a scorer for one video, unless it has an attribute `seconds`."""

Scorer = Callable[[Path, Mapping[str, Any]], object]
"""Gives the score of a video, by its file and its run; or several, by name."""


def load(name: str) -> tuple[Scorer, float]:
    """The scorer of that name, and its time limit in seconds. Raises what its package raises."""
    if name in ESTIMATED:
        return _estimated(name), SECONDS
    found = own_scorers()[name].load()
    seconds = float(getattr(found, "seconds", SECONDS))
    if callable(found):
        return found, seconds
    if isinstance(found, list | tuple) and all(isinstance(word, str) for word in found):
        return _command(list(found)), seconds
    raise TypeError(f"{own_scorers()[name].value} is neither a function nor the words of a command")


def _command(words: list[str]) -> Scorer:
    """A scorer that is a command: it reads the request as JSON and writes the scores as JSON."""

    def score(video: Path, run: Mapping[str, Any]) -> object:
        """Ask the command. Raises RuntimeError where it fails."""
        request = json.dumps({"video": str(video), "run": run})
        ended = subprocess.run(words, input=request, capture_output=True, text=True)
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or [""])[-1]
            raise RuntimeError(f"{words[0]} ended with exit code {ended.returncode}: {last[:200]}")
        return json.loads(ended.stdout)

    return score


def _estimated(name: str) -> Scorer:
    """One of the scores that models measure."""
    from cosmos_batch.media.controls.estimators import TransformersEstimator
    from cosmos_batch.scoring.estimated import depth_rmse, mask_miou

    estimator, read = TransformersEstimator(), TypeAdapter(Run).validate_python
    measure = {"depth": depth_rmse, "seg": mask_miou}[name]

    def score(video: Path, run: Mapping[str, Any]) -> object:
        """Measure a video."""
        return {ESTIMATED[name][0]: measure(read(run), video, estimator)}

    return score


def main(name: str) -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a scorer prints is no answer

    def answer(value: Mapping[str, object]) -> None:
        """Write one line."""
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        scorer, seconds = load(name)
    except Exception as exc:
        answer({"error": explain(exc)})
        return
    answer({"seconds": seconds})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer({"scores": scorer(Path(request["video"]), request["run"])})
        except Exception as exc:
            answer({"error": explain(exc)})


if __name__ == "__main__":
    main(sys.argv[1])
