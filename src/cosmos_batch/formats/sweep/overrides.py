"""Settings such as `num_steps=4` that take the place of those of every run."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats import native
from cosmos_batch.formats.acceptance import ACCEPT, ATTEMPTS, acceptance_of
from cosmos_batch.formats.close_names import closest
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.run_builder import ValuePool
from cosmos_batch.run import Acceptance, Run, Sampling

OVERRIDABLE = tuple(asdict(Sampling()))
"""The settings that may be given in place of those of every run."""
_TEXTS = ("resolution", "negative_prompt")
_WHERE = Location("--set")


_SCORE = re.compile(rf"{ACCEPT}\.(\w+)\s*=?\s*([<>].*)")


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings, and scores to be reached, in place of those of every run."""

    sampling: Sampling
    scores: Mapping[str, str] = field(default_factory=dict)  # comparison by name of score
    attempts: int | None = None  # of runs that have to reach scores; None: as many as each gives

    def over(self, rule: Acceptance | None) -> Acceptance | None:
        """A run's rule with these scores and attempts in place of its own; None where neither has scores."""
        if rule is None and not self.scores:
            return None
        made = rule or Acceptance(scores={})
        return replace(made, scores={**made.scores, **self.scores}, attempts=self.attempts or made.attempts)


def parse_overrides(texts: Sequence[str], score_names: Collection[str] | None = None) -> Overrides:
    """The settings of texts such as `num_steps=4` and `accept.edge_f1>0.5`. Raises InputError with all problems.

    `score_names`: the scores that may be named; None: those of this machine.
    """
    given: dict[str, object] = {}
    accept: dict[str, object] = {}
    attempts: list[object] = []
    problems: list[Problem] = []
    for text in texts:
        name, mark, value = text.partition("=")
        if score := _SCORE.fullmatch(text.strip()):
            accept[score[1]] = score[2]
            continue
        if mark and name.strip() == ATTEMPTS:
            attempts = [_value(value.strip())]
            continue
        name = name.strip().removeprefix("settings.").removeprefix("execution_config.")
        if not mark:
            problems.append(_WHERE.problem("", "is no setting", "write it as num_steps=4", text))
        elif name not in OVERRIDABLE:
            problems.append(_unknown(_WHERE, name, value))
        elif name in given:
            problems.append(_WHERE.problem(name, "is given twice", "give it once", value))
        else:
            given[name] = value if name in _TEXTS else _value(value.strip())
    return _overrides(given, accept, attempts, problems, _WHERE, score_names)


def overrides_of(given: Mapping[str, object], score_names: Collection[str] | None = None) -> Overrides:
    """The settings of a dict such as `{"num_steps": 4, "accept": {"edge_f1": ">0.5"}}`.

    `score_names`: as for `parse_overrides`. Raises InputError with all problems.
    """
    location = Location("settings")
    others = {name: value for name, value in given.items() if name not in (ACCEPT, ATTEMPTS)}
    problems = [_unknown(location, name, value) for name, value in others.items() if name not in OVERRIDABLE]
    known = {name: value for name, value in others.items() if name in OVERRIDABLE}
    accept = given.get(ACCEPT, {})
    if not isinstance(accept, Mapping):
        remedy = "give comparisons by score: {'edge_f1': '>0.5'}"
        problems.append(location.problem(ACCEPT, "is not an object", remedy, accept))
        accept = {}
    attempts = [given[ATTEMPTS]] if ATTEMPTS in given else []
    return _overrides(known, accept, attempts, problems, location, score_names)


def _overrides(
    given: Mapping[str, object],
    accept: Mapping[str, object],
    attempts: Sequence[object],
    problems: Sequence[Problem],
    where: Location,
    score_names: Collection[str] | None,
) -> Overrides:
    """The overrides of settings, scores and attempts. Raises InputError with `problems` and all others."""
    made = native.read_sampling(given, where, ValuePool())
    found = [*problems, *map(_named, made if isinstance(made, list) else ())]
    found += map(_named, native.field_problems({ATTEMPTS: attempts[0]}, where) if attempts else ())
    rule, faults = acceptance_of(accept, None, None, where, score_names) if accept else (None, [])
    found += faults
    if found or isinstance(made, list):
        raise InputError(found)
    count = next((value for value in attempts if isinstance(value, int)), None)
    return Overrides(made, rule.scores if rule else {}, count)


def _unknown(location: Location, name: str, value: object) -> Problem:
    near = closest(name, OVERRIDABLE)
    remedy = f"did you mean {near!r}?" if near else f"give one of {', '.join(OVERRIDABLE)}"
    return location.problem(name, "is not a known setting", remedy, value)


def with_settings(runs: Iterable[Run], settings: Sampling) -> tuple[Run, ...]:
    """The runs with the settings that are given in place of their own; equal settings stay one object."""
    made: dict[int, tuple[Sampling, Sampling]] = {}
    changed = []
    for run in runs:
        known = made.get(id(run.sampling))
        if known is None:
            known = made[id(run.sampling)] = (run.sampling, settings.over(run.sampling))
        changed.append(replace(run, sampling=known[1]))
    return tuple(changed)


def with_rules(runs: Iterable[Run], overrides: Overrides) -> tuple[Run, ...]:
    """The runs with the scores to be reached that are given in place of their own."""
    return tuple(replace(run, acceptance=overrides.over(run.acceptance)) for run in runs)


def _named(problem: Problem) -> Problem:
    """A problem of a setting in the words of the command line, which has no quotes."""
    field = problem.field.removeprefix("execution_config.")
    return replace(problem, field=field, remedy=problem.remedy.removesuffix(", without quotes"))


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
