"""Reads the rule of a run whose video has to reach scores: `{"accept": {"edge_f1": ">0.5"}, "attempts": 3}`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

from cosmos_batch.errors import Problem
from cosmos_batch.formats.close_names import closest
from cosmos_batch.formats.problems import Location
from cosmos_batch.run import Acceptance, Control
from cosmos_batch.score_names import LIMITS, is_known, known_scores

_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(\S+)")
_MAX_SCORES = 32
_CONTROLS = {"edge_f1": "edge", "blur_ssim": "vis"}
"""Scores that compare with the input video, or with the video of this control."""
ACCEPT, ATTEMPTS, SEED_STEP = "accept", "attempts", "seed_step"


def acceptance_of(
    accept: Mapping[str, object] | None,
    attempts: int | None,
    seed_step: int | None,
    location: Location,
    known: Collection[str] | None = None,
) -> tuple[Acceptance | None, list[Problem]]:
    """The rule of these fields, and all problems of them; no rule without `accept`.

    `known`: names of the scores that may be used; None: those of this machine.
    """
    if not accept:
        return None, _idle(accept is not None, attempts, seed_step, location)
    names = known_scores() if known is None else known
    scores: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in accept.items():
        field = f"{ACCEPT}.{name}"
        if not is_known(name, names):
            near = closest(name, tuple(names))
            remedy = f"did you mean {near!r}?" if near else f"name one of {', '.join(names)}"
            problems.append(location.problem(field, "is not a known score", remedy, value))
        elif (text := _comparison(name, value)) is None:
            remedy = "write it like '>0.5'" + (", or false: not flagged" if name in LIMITS else "")
            problems.append(location.problem(field, "is no comparison with a number", remedy, value))
        else:
            scores[name] = text
    if len(accept) > _MAX_SCORES:
        problems.append(location.problem(ACCEPT, f"names {len(accept)} scores", f"name at most {_MAX_SCORES}"))
    if problems:
        return None, problems
    given = {ATTEMPTS: attempts, SEED_STEP: seed_step}
    return Acceptance(scores=scores, **{name: value for name, value in given.items() if value is not None}), []


def unmeasurable(
    rule: Acceptance, video: str | None, controls: Sequence[Control], location: Location
) -> list[Problem]:
    """Problems of scores that a run gives no means for, so that no attempt could be accepted."""
    given = {control.name for control in controls if control.weight > 0 and control.video is not None}
    remedy = "give an input video, or a video of {}, or leave the score out"
    return [
        location.problem(f"{ACCEPT}.{name}", "has nothing to compare with", remedy.format(control), text)
        for name, text in rule.scores.items()
        if video is None and (control := _CONTROLS.get(name)) is not None and control not in given
    ]


def request_fields(rule: Acceptance | None) -> dict[str, object]:
    """The fields of a native record, or of a request, that give a rule; none without one."""
    if rule is None:
        return {}
    return {ACCEPT: dict(rule.scores), ATTEMPTS: rule.attempts, SEED_STEP: rule.seed_step}


def _comparison(name: str, value: object) -> str | None:
    """A comparison in its plain form, ">0.5"; None where it is none."""
    if value is False and name in LIMITS:
        return f"<={LIMITS[name]:g}"
    found = _COMPARISON.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        limit = float(found[2])
    except ValueError:
        return None
    return f"{found[1]}{found[2]}" if math.isfinite(limit) else None


def _idle(empty: bool, attempts: int | None, seed_step: int | None, location: Location) -> list[Problem]:
    """Problems of a rule without scores."""
    remedy = 'say which score is to be reached: {"accept": {"edge_f1": ">0.5"}}'
    if empty:
        return [location.problem(ACCEPT, "names no score", remedy)]
    given = {ATTEMPTS: attempts, SEED_STEP: seed_step}
    return [
        location.problem(name, f"has no effect without {ACCEPT}", remedy, value)
        for name, value in given.items()
        if value is not None
    ]
